//! The command line. No type of `clap` leaves this module.

mod description;
pub mod generate;
mod texts;
mod tools;

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Arg, Args, CommandFactory, Parser, Subcommand, ValueEnum};

use composer::config::Compression;
use composer::scan::CheckDigests;
use composer::stream::Compressing;
use composer::tools::Tools;
pub use description::Description;
use generate::Generate;
use tools::ToolsRequest;

/// Composes GPT disk images from directory trees, without root.
#[derive(Debug, Parser)]
#[command(name = "compose", version, after_help = texts::MAIN, max_term_width = 80)]
#[command(args_conflicts_with_subcommands = true, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    compose: ComposeArgs,
    /// Print a manual page, a completion script, every flag in Markdown or the schema
    /// of image.toml.
    #[arg(long, value_enum, value_name = "WHAT", exclusive = true)]
    generate: Option<Generate>,
    /// Write manual pages, one for each command too, to a directory.
    #[arg(long, value_name = "DIRECTORY", exclusive = true)]
    manual: Option<PathBuf>,
}

#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "a flag is a bool")]
struct ComposeArgs {
    #[command(flatten)]
    description: Description,
    /// Where to write the image; `-` is standard output.
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// systemd-repart, for the engine that runs it, as `--tool systemd-repart=PROGRAM`.
    #[arg(long, value_name = "PROGRAM", env = "SYSTEMD_REPART")]
    repart: Option<OsString>,
    #[command(flatten)]
    tools: ToolsRequest,
    /// A raw image to which a qcow2 file leaves all that it has; only clusters that
    /// differ are written.
    #[arg(long, value_name = "IMAGE")]
    backing: Option<PathBuf>,
    #[command(flatten)]
    signing: SigningRequest,
    #[command(flatten)]
    artifacts: ArtifactsRequest,
    /// Show the layout and write nothing.
    #[arg(long)]
    dry_run: bool,
    /// Print the layout as JSON.
    #[arg(long)]
    json: bool,
    /// Whether content is compared with the digests of its manifest; `auto`
    /// spares files that have not changed since the manifest was written.
    #[arg(long, value_enum, value_name = "WHEN", default_value = "auto")]
    digests: When,
    /// Flush the image to the disk before it gets its name.
    #[arg(long)]
    sync: bool,
    /// How progress is shown on standard error.
    #[arg(long, value_enum, value_name = "HOW", default_value = "auto")]
    progress: ProgressStyle,
    /// Print nothing but errors.
    #[arg(short, long)]
    quiet: bool,
}

/// What goes along with the image.
#[derive(Debug, Clone, Default, Args)]
pub struct ArtifactsRequest {
    /// Write each partition to a file beside the image too.
    #[arg(long)]
    pub split: bool,
    /// Write the digests of all files to `SHA256SUMS` beside them.
    #[arg(long)]
    pub sums: bool,
    /// Write transfers of systemd-sysupdate to a directory; implies `--split`.
    #[arg(long, value_name = "DIRECTORY", requires = "sysupdate_source")]
    pub sysupdate: Option<PathBuf>,
    /// Where machines find the files: a URL, or a directory.
    #[arg(long, value_name = "URL", requires = "sysupdate")]
    pub sysupdate_source: Option<String>,
}

impl ArtifactsRequest {
    /// Whether anything is asked for.
    #[must_use]
    pub fn is_some(&self) -> bool {
        self.split || self.sums || self.sysupdate.is_some()
    }
}

/// With what root hashes of dm-verity are signed.
#[derive(Debug, Clone, Args)]
pub struct SigningRequest {
    /// The private key that signs root hashes of dm-verity.
    #[arg(long, value_name = "FILE", requires = "certificate")]
    pub private_key: Option<PathBuf>,
    /// The certificate that goes with it.
    #[arg(long, value_name = "FILE", requires = "private_key")]
    pub certificate: Option<PathBuf>,
    /// A signature of a root hash that was made elsewhere: PKCS#7 in DER, detached.
    #[arg(long = "verity-signature", value_name = "ROOTHASH:FILE", value_parser = hash_and_file)]
    pub signatures: Vec<(String, PathBuf)>,
}

/// Takes `ROOTHASH:FILE` apart.
fn hash_and_file(text: &str) -> Result<(String, PathBuf), String> {
    let parts = text.split_once(':');
    let parts = parts.filter(|(hash, _)| {
        hash.len() == 64 && hash.bytes().all(|digit| digit.is_ascii_hexdigit())
    });
    let (hash, path) = parts.ok_or("write 64 hexadecimal digits, a colon, and a file")?;
    Ok((hash.to_ascii_lowercase(), PathBuf::from(path)))
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum When {
    Auto,
    Always,
    Never,
}

/// How progress is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ProgressStyle {
    /// A bar if standard error is a terminal, else nothing.
    Auto,
    /// A line of JSON for each step.
    Json,
    /// Nothing.
    Never,
}

#[derive(Debug, Subcommand)]
enum Command {
    #[command(flatten)]
    Look(Look),
    /// Bring an image to what its description says now, and write only what differs.
    #[command(after_help = texts::UPDATE)]
    #[command(mut_arg("engine", hidden), mut_arg("empty", hidden))]
    #[command(mut_arg("format", hidden), mut_arg("compress", hidden))]
    Update {
        /// The image.
        image: PathBuf,
        #[command(flatten)]
        description: Description,
        #[command(flatten)]
        signing: SigningRequest,
        #[command(flatten)]
        tools: ToolsRequest,
        /// Print nothing but errors.
        #[arg(short, long)]
        quiet: bool,
    },
    /// Write definitions by which systemd-repart makes the image of a description.
    #[command(after_help = texts::REPART)]
    #[command(mut_arg("engine", hidden), mut_arg("compress", hidden))]
    #[command(mut_arg("format", hidden))]
    Repart {
        #[command(flatten)]
        description: Description,
        /// The directory to write them to; it is made when it is not there.
        #[arg(short, long, value_name = "DIRECTORY")]
        output: PathBuf,
    },
}

/// An option that has no say in what a command does.
fn hidden(option: Arg) -> Arg {
    option.hide(true)
}

/// Looks into an image.
#[derive(Debug, Subcommand)]
pub enum Look {
    /// Show the layout of an image.
    #[command(after_help = texts::INSPECT)]
    Inspect {
        /// The image.
        image: PathBuf,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// List a directory of a FAT partition.
    #[command(after_help = texts::LS)]
    Ls {
        /// The image.
        image: PathBuf,
        /// `[PARTITION:]PATH`; a partition is a number, a label or a type.
        #[arg(default_value = "/")]
        path: String,
        /// List everything below it too.
        #[arg(short = 'R', long)]
        recursive: bool,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Print a file of a FAT partition.
    #[command(after_help = texts::CAT)]
    Cat {
        /// The image.
        image: PathBuf,
        /// `[PARTITION:]PATH`; a partition is a number, a label or a type.
        path: String,
    },
    /// Copy a file or a directory out of a FAT partition.
    #[command(after_help = texts::EXTRACT)]
    Extract {
        /// The image.
        image: PathBuf,
        /// `[PARTITION:]PATH`; a partition is a number, a label or a type.
        #[arg(default_value = "/")]
        path: String,
        /// The directory to copy into; it is made when it is not there.
        #[arg(short, long, value_name = "DIRECTORY")]
        output: PathBuf,
    },
    /// Check an image: tables, file systems and, with a description, every file.
    #[command(after_help = texts::VERIFY)]
    Verify {
        /// The image.
        image: PathBuf,
        /// The description whose manifests the files are compared with.
        #[arg(long, value_name = "IMAGE.TOML")]
        config: Option<PathBuf>,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
}

/// What the user wants.
#[derive(Debug)]
pub enum Request {
    /// An image.
    Compose(ComposeRequest),
    /// An image that is there already.
    Update(ComposeRequest),
    /// A look into one.
    Look(Look),
    /// Definitions of systemd-repart, and where to write them.
    Definitions(Description, PathBuf),
    /// A text about the program itself.
    Generate(Generate),
    /// Manual pages, and where to write them.
    Manual(PathBuf),
}

/// An image to be composed.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "a flag is a bool")]
pub struct ComposeRequest {
    /// What it is to be.
    pub description: Description,
    /// Where to write, if not where the description says.
    pub output: Option<PathBuf>,
    /// Where programs are.
    pub tools: Tools,
    /// The raw image that has what is not written.
    pub backing: Option<PathBuf>,
    /// With what root hashes are signed.
    pub signing: SigningRequest,
    /// What goes along with the image.
    pub artifacts: ArtifactsRequest,
    /// Whether to stop before the first byte is written.
    pub dry_run: bool,
    /// Whether the report is JSON.
    pub json: bool,
    /// Which digests to check.
    pub digests: CheckDigests,
    /// Whether to flush the image to the disk.
    pub sync: bool,
    /// How to show progress.
    pub progress: ProgressStyle,
    /// Whether to print no report.
    pub quiet: bool,
}

impl ComposeRequest {
    /// How output is compressed that is compressed like this.
    pub fn compressing(&self, compression: Option<Compression>) -> Option<Compressing<'_>> {
        let tools = &self.tools;
        compression.map(|compression| Compressing { compression, tools })
    }
}

/// Reads the arguments of the process. Ends it, with status 2, when they are
/// wrong.
#[must_use]
pub fn parse() -> Request {
    let Cli {
        command,
        compose,
        generate,
        manual,
    } = Cli::try_parse().unwrap_or_else(|error| refuse(error));
    if let Some(what) = generate {
        return Request::Generate(what);
    }
    if let Some(directory) = manual {
        return Request::Manual(directory);
    }
    match command {
        Some(Command::Look(look)) => return Request::Look(look),
        Some(Command::Repart {
            description,
            output,
        }) => return Request::Definitions(description.for_repart(), output),
        Some(Command::Update {
            image,
            description,
            signing,
            tools,
            quiet,
        }) => {
            return Request::Update(ComposeRequest {
                description,
                output: Some(image),
                tools: tools.tools(None),
                backing: None,
                signing,
                artifacts: ArtifactsRequest::default(),
                dry_run: false,
                json: false,
                digests: CheckDigests::Auto,
                sync: true,
                progress: ProgressStyle::Auto,
                quiet,
            });
        }
        None => {}
    }
    Request::Compose(ComposeRequest {
        description: compose.description,
        output: compose.output,
        tools: compose.tools.tools(compose.repart),
        backing: compose.backing,
        signing: compose.signing,
        artifacts: compose.artifacts,
        dry_run: compose.dry_run,
        json: compose.json,
        digests: match compose.digests {
            When::Auto => CheckDigests::Auto,
            When::Always => CheckDigests::Always,
            When::Never => CheckDigests::Never,
        },
        sync: compose.sync,
        progress: compose.progress,
        quiet: compose.quiet,
    })
}

/// Ends the program as clap does; of a command with a slip in it, the slip is said.
fn refuse(error: clap::Error) -> ! {
    let word = std::env::args().nth(1).unwrap_or_default();
    let refused = error.use_stderr();
    let misspelt = refused.then(|| command_manual::misspelt(Cli::command(), &word));
    misspelt.flatten().unwrap_or(error).exit()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definition_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn help_is_what_users_see() {
        insta::assert_snapshot!(Cli::command().render_help().to_string());
        let mut command = Cli::command().disable_help_subcommand(true);
        command.build();
        let mut helps = vec![command.render_help(), command.render_long_help()];
        for sub in command.get_subcommands_mut() {
            helps.extend([sub.render_help(), sub.render_long_help()]);
        }
        for help in helps {
            let help = help.to_string();
            let wide = help.lines().find(|line| line.chars().count() > 80);
            assert_eq!(wide, None);
            assert!(help.contains("Examples:\n"), "{help}");
        }
    }
}
