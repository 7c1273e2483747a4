use std::cmp::Ordering;
use std::fmt::Write as _;

use bootloaders::loader_version::compare;
use integration_tests::Peer;

/// Versions of boot loaders as distributions and developers spell them, and what the
/// specification asks about: marks, words, zeros, signs that separate.
const VERSIONS: [&str; 24] = [
    "000.0-1-notnixos",
    "252.39-1~deb12u2",
    "259",
    "259.9",
    "260~devel",
    "260~rc1",
    "260~rc2",
    "260",
    "260-1",
    "260.1",
    "260^20260101",
    "262.1-1",
    "0262.1-1",
    "262.1-1.fc44",
    "v262",
    "1_2",
    "1.2",
    "1..2",
    "1.a",
    "1.B",
    "1-",
    "1~",
    "^1",
    "99999999999999999999998",
];

#[test]
fn systemd_orders_versions_as_we_do() {
    let each = VERSIONS
        .iter()
        .flat_map(|first| VERSIONS.map(|second| (*first, second)));
    let (mut pairs, mut expected) = (String::new(), String::new());
    for (first, second) in each {
        let sign = match compare(first, second) {
            Ordering::Less => '<',
            Ordering::Equal => '=',
            Ordering::Greater => '>',
        };
        let _ = writeln!(pairs, "{first} {second}");
        let _ = writeln!(expected, "{first} {sign} {second}");
    }
    // The exit code stands for the order too.
    let each =
        "while read -r a b; do systemd-analyze compare-versions -- \"$a\" \"$b\"; done; true";
    let said = Peer::sid("sh").args(["-c", each]).input(pairs).ok();
    let said = said.replace("==", "=");
    for (ours, systemds) in expected.lines().zip(said.lines()) {
        assert_eq!(ours, systemds);
    }
    assert_eq!(said.lines().count(), VERSIONS.len() * VERSIONS.len());
}
