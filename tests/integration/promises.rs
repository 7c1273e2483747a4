use std::fs;

use integration_tests::{Peer, lab};

/// A table that names tests is worth as much as the tests.
#[test]
fn tests_that_the_documentation_names_exist() {
    let read = |name: &str| fs::read_to_string(lab::root().join("docs").join(name)).unwrap();
    let text = read("testing.md") + &read("security.md");
    let rows = text.lines().filter(|line| line.starts_with("| "));
    let cells = rows.filter_map(|row| row.split('|').nth(2));
    let is_name = |word: &str| word.contains('_') && !word.contains("::") && !word.contains('.');
    let names: Vec<_> = cells
        .flat_map(|cell| cell.split('`').skip(1).step_by(2))
        .filter(|word| is_name(word))
        .collect();
    assert!(names.len() > 30, "{names:?}");
    for name in names {
        let search = Peer::host("grep").args(["-rqF", "--include=*.rs", "--exclude-dir=target"]);
        let found = search.arg(format!("fn {name}(")).arg(lab::root()).run();
        assert!(
            found.status.success(),
            "the documentation names `{name}`, which is no test"
        );
    }
}
