//! The options that say where programs are.

use std::ffi::OsString;
use std::path::{Path, absolute};

use clap::Args;

use composer::tools::{Tool, Tools};

/// Where programs are, if not in `PATH`.
#[derive(Debug, Clone, Args)]
pub struct ToolsRequest {
    /// A program to run in place of that in `PATH`, such as
    /// `mkfs.erofs=/opt/erofs/mkfs.erofs`; more than once.
    #[arg(long = "tool", value_name = "NAME=PATH", value_parser = tool_and_path)]
    tools: Vec<(Tool, OsString)>,
}

impl ToolsRequest {
    /// Where programs are, with systemd-repart as an option of its own names it.
    #[must_use]
    pub fn tools(self, repart: Option<OsString>) -> Tools {
        let mut tools = Tools::default();
        if let Some(repart) = repart.filter(|repart| !repart.is_empty()) {
            tools.place(Tool::Repart, repart);
        }
        for (tool, program) in self.tools {
            tools.place(tool, program);
        }
        tools
    }
}

/// Takes `NAME=PATH` apart.
fn tool_and_path(text: &str) -> Result<(Tool, OsString), String> {
    let (name, path) = text
        .split_once('=')
        .filter(|(_, path)| !path.is_empty())
        .ok_or("write the name of a program, `=`, and its path")?;
    let Some(tool) = Tool::named(name) else {
        let known = Tool::ALL.map(Tool::name).join(", ");
        return Err(format!("no `{name}` is run, but {known}"));
    };
    if !path.contains('/') {
        return Ok((tool, path.into()));
    }
    // Some are run in another folder.
    let path = absolute(Path::new(path)).map_err(|error| error.to_string())?;
    Ok((tool, path.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_named_by_paths_and_unknown_ones_refused() {
        let parsed = |text| tool_and_path(text).map(|(tool, path)| (tool.name(), path));
        assert_eq!(parsed("xz=/a=b"), Ok(("xz", "/a=b".into())));
        assert_eq!(parsed("xz=pixz"), Ok(("xz", "pixz".into())));
        let relative = parsed("zstd=bin/zstd").unwrap().1;
        assert!(Path::new(&relative).is_absolute(), "{relative:?}");
        for wrong in ["xz", "xz=", "=x"] {
            assert!(parsed(wrong).is_err(), "{wrong}");
        }
        let refused = parsed("mkfs.ext4=/x").unwrap_err();
        assert!(refused.contains("`mkfs.ext4`") && refused.contains(" mkfs.btrfs, mkfs.erofs,"));
    }

    #[test]
    fn systemd_repart_is_where_the_more_exact_option_says() {
        let tools = vec![(Tool::Repart, "/b".into())];
        let repart = Some("/a".into());
        let found = |tools: Vec<_>, repart: Option<OsString>| {
            let tools = ToolsRequest { tools }.tools(repart);
            tools.program(Tool::Repart).to_owned()
        };
        assert_eq!(found(tools, repart.clone()), "/b");
        assert_eq!(found(vec![], repart), "/a");
        assert_eq!(found(vec![], None), "systemd-repart");
        assert_eq!(found(vec![], Some("".into())), "systemd-repart");
    }
}
