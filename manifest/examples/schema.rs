//! Prints the manifest's JSON Schema; its output is what `schema/` publishes.
#![expect(clippy::print_stdout, reason = "printing is all it does")]

fn main() {
    print!("{}", tree_manifest::schema());
}
