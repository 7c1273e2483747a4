//! Entries' file names and the boot counters in them.
//!
//! Specification: <https://uapi-group.org/specifications/specs/boot_loader_specification/#boot-counting>
//!
//! A counter `+LEFT[-DONE]` stands before the suffix. Each try makes LEFT one
//! less and DONE one more by renaming the file; a system that came up takes the
//! counter away. New counters have a fixed width, `+10-00`, as the specification
//! asks since 2025-10: no later name is longer, so a rename on FAT stays within
//! the file's directory slots and cannot be torn. systemd-boot up to 262 renames
//! to `+9-1` without the zeros; any width is read.

use std::fmt;
use std::num::NonZeroU16;

use tree_manifest::fat;

use crate::line::Line;

/// The largest number that systemd-boot reads in a counter.
const LARGEST: u32 = i32::MAX.unsigned_abs();

/// How the file names of Type #1 entries end.
const TYPE1: &str = ".conf";
/// How those of Unified Kernel Images end.
const IMAGE: &str = ".efi";

/// The file name of an entry, taken apart: `STEM[+LEFT[-DONE]]SUFFIX`.
///
/// It is one name as FAT holds it and one line of text, and its text form is the
/// name exactly as it was read.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct EntryFileName {
    stem: String,
    counter: Option<Counter>,
    suffix: String,
}

impl EntryFileName {
    /// Takes a file name apart as systemd-boot does: a counter is what follows
    /// the last `+`, when it is a counter and the suffix follows. `None` when the
    /// name is no entry's.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        let line = Line::new(name).is_ok_and(|line| line.as_str() == name);
        if !line || fat::check_name(name).is_err() {
            return None;
        }
        let (before, suffix) = name.split_at(name.rfind('.')?);
        if !suffix.eq_ignore_ascii_case(TYPE1) && !suffix.eq_ignore_ascii_case(IMAGE) {
            return None;
        }
        let split = before.rsplit_once('+');
        let read = split.and_then(|(stem, text)| Some((stem, Some(Counter::parse(text)?))));
        let (stem, counter) = read.unwrap_or((before, None));
        Some(Self {
            stem: stem.to_owned(),
            counter,
            suffix: suffix.to_owned(),
        })
    }

    /// The name of a Type #1 entry without a counter.
    pub(crate) fn uncounted(stem: &str) -> Self {
        Self {
            stem: stem.to_owned(),
            counter: None,
            suffix: TYPE1.to_owned(),
        }
    }

    /// The name of a Unified Kernel Image of the same stem.
    #[must_use]
    pub fn of_image(self) -> Self {
        Self {
            suffix: IMAGE.to_owned(),
            ..self
        }
    }

    /// Whether it is the name of a Unified Kernel Image, not of a Type #1 entry.
    #[must_use]
    pub fn is_image(&self) -> bool {
        self.suffix.eq_ignore_ascii_case(IMAGE)
    }

    /// The name without counter and suffix.
    #[must_use]
    pub fn stem(&self) -> &str {
        &self.stem
    }

    /// `.conf` or `.efi`, as it is spelled.
    #[must_use]
    pub fn suffix(&self) -> &str {
        &self.suffix
    }

    /// The counter.
    #[must_use]
    pub fn counter(&self) -> Option<Counter> {
        self.counter
    }

    /// The name without the counter, by which `default` and `preferred` in
    /// `loader.conf`, and bootctl, know the entry.
    #[must_use]
    pub fn id(&self) -> Line {
        Line::new(&format!("{}{}", self.stem, self.suffix))
            .unwrap_or_else(|error| unreachable!("a part of a line is one: {error}"))
    }

    /// This name with a new counter.
    #[must_use]
    pub fn with_tries(&self, tries: NonZeroU16) -> Self {
        Self {
            counter: Some(Counter::new(tries)),
            ..self.clone()
        }
    }

    /// What the name says about the entry.
    #[must_use]
    pub fn state(&self) -> State {
        match self.counter {
            None => State::Good,
            Some(counter) if counter.left > 0 => State::Indeterminate,
            Some(_) => State::Bad,
        }
    }

    /// Whether two names stand for one entry: they differ in the counter, or in
    /// what FAT does not tell apart.
    #[must_use]
    pub fn is_same_entry(&self, other: &Self) -> bool {
        fat::fold(self.id().as_str()) == fat::fold(other.id().as_str())
    }

    /// The name under which an entry is written.
    ///
    /// An entry that is there already keeps its name, and so what is known about
    /// it: a counter is never filled up again, nor taken from an entry whose
    /// tries still run. Where an entry is there twice, the name with the better
    /// state stays. A new entry gets a counter when there are tries.
    #[must_use]
    pub fn among<'a>(
        &self,
        existing: impl IntoIterator<Item = &'a Self>,
        tries: Option<NonZeroU16>,
    ) -> Self {
        let same = existing.into_iter().filter(|name| name.is_same_entry(self));
        let best = same.min_by(|one, other| (one.state(), one).cmp(&(other.state(), other)));
        match (best, tries) {
            (Some(best), _) => best.clone(),
            (None, Some(tries)) => self.with_tries(tries),
            (None, None) => self.clone(),
        }
    }
}

impl fmt::Display for EntryFileName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.stem)?;
        if let Some(counter) = &self.counter {
            write!(f, "{counter}")?;
        }
        f.write_str(&self.suffix)
    }
}

/// What a name says about its entry; the best comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    /// It came up, or its tries are not counted.
    Good,
    /// It has tries left.
    Indeterminate,
    /// It used up its tries and never came up. Boot loaders show it last, and
    /// `preferred` passes over it.
    Bad,
}

/// The two numbers of a counter, and how wide each is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Counter {
    left: u32,
    left_width: usize,
    /// Absent is 0.
    done: Option<u32>,
    done_width: usize,
}

impl Counter {
    /// The counter of an entry that was never tried, with room for every number
    /// that it will reach.
    #[must_use]
    pub fn new(tries: NonZeroU16) -> Self {
        let width = tries.to_string().len();
        Self {
            left: u32::from(tries.get()),
            left_width: width,
            done: Some(0),
            done_width: width,
        }
    }

    /// How many tries are left.
    #[must_use]
    pub fn left(self) -> u32 {
        self.left
    }

    /// How many tries there were.
    #[must_use]
    pub fn done(self) -> u32 {
        self.done.unwrap_or_default()
    }

    /// Reads `LEFT` or `LEFT-DONE`.
    fn parse(text: &str) -> Option<Self> {
        let Some((left, done)) = text.split_once('-') else {
            return Some(Self {
                left: number(text)?,
                left_width: text.len(),
                done: None,
                done_width: 0,
            });
        };
        Some(Self {
            left: number(left)?,
            left_width: left.len(),
            done: Some(number(done)?),
            done_width: done.len(),
        })
    }
}

impl fmt::Display for Counter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "+{:0width$}", self.left, width = self.left_width)?;
        if let Some(done) = self.done {
            write!(f, "-{done:0width$}", width = self.done_width)?;
        }
        Ok(())
    }
}

/// A number of digits alone that systemd-boot reads too.
fn number(text: &str) -> Option<u32> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    let number = digits.then(|| text.parse().ok())??;
    (number <= LARGEST).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn name(text: &str) -> EntryFileName {
        EntryFileName::parse(text).unwrap()
    }

    fn tries(tries: u16) -> Option<NonZeroU16> {
        NonZeroU16::new(tries)
    }

    /// The name after one more try, as the specification has it: with zeros.
    fn tried(name: &EntryFileName) -> EntryFileName {
        let counter = name.counter.map(|counter| Counter {
            left: counter.left.saturating_sub(1),
            done: Some(counter.done() + 1),
            ..counter
        });
        EntryFileName {
            counter,
            ..name.clone()
        }
    }

    #[test]
    fn counters_are_read_as_systemd_boot_reads_them() {
        for (text, id, counter, state) in [
            ("a.conf", "a.conf", None, State::Good),
            ("a+3.conf", "a.conf", Some((3, 0)), State::Indeterminate),
            ("a+3-0.conf", "a.conf", Some((3, 0)), State::Indeterminate),
            ("a+02-01.conf", "a.conf", Some((2, 1)), State::Indeterminate),
            ("a+0-3.efi", "a.efi", Some((0, 3)), State::Bad),
            ("a+0.conf", "a.conf", Some((0, 0)), State::Bad),
            ("a+b+1.CONF", "a+b.CONF", Some((1, 0)), State::Indeterminate),
            (
                "a+2147483647.conf",
                "a.conf",
                Some((2_147_483_647, 0)),
                State::Indeterminate,
            ),
            // No counters.
            ("a+2147483648.conf", "a+2147483648.conf", None, State::Good),
            ("a+1+b.conf", "a+1+b.conf", None, State::Good),
            ("a+.conf", "a+.conf", None, State::Good),
            ("a+1-.conf", "a+1-.conf", None, State::Good),
            ("a+-1.conf", "a+-1.conf", None, State::Good),
            ("a+1-2-3.conf", "a+1-2-3.conf", None, State::Good),
            ("a+1 .conf", "a+1 .conf", None, State::Good),
            ("a+1.x.conf", "a+1.x.conf", None, State::Good),
            ("a-3.conf", "a-3.conf", None, State::Good),
        ] {
            let name = name(text);
            let numbers = name.counter().map(|it| (it.left(), it.done()));
            assert_eq!(numbers, counter, "{text}");
            assert_eq!(name.id().as_str(), id, "{text}");
            assert_eq!(name.state(), state, "{text}");
            assert_eq!(name.to_string(), text);
        }
    }

    #[test]
    fn what_is_no_entry_has_no_name() {
        for text in [
            "",
            "a",
            "conf",
            "a.conf~",
            "a.config",
            "a/b.conf",
            "a\\b.conf",
            "a\nb.conf",
            " a.conf",
            "a?.conf",
        ] {
            assert_eq!(EntryFileName::parse(text), None, "{text:?}");
        }
    }

    #[test]
    fn a_new_counter_has_room_for_its_end() {
        for (count, expected) in [
            (1, "a+1-0.conf"),
            (3, "a+3-0.conf"),
            (10, "a+10-00.conf"),
            (100, "a+100-000.conf"),
            (u16::MAX, "a+65535-00000.conf"),
        ] {
            let counted = name("a.conf").with_tries(tries(count).unwrap());
            assert_eq!(counted.to_string(), expected);
        }
        let mut names = vec![name("a.conf").with_tries(tries(10).unwrap())];
        while names[names.len() - 1].state() != State::Bad {
            names.push(tried(&names[names.len() - 1]));
        }
        let names: Vec<_> = names.iter().map(ToString::to_string).collect();
        insta::assert_snapshot!(names.join(" "), @"a+10-00.conf a+09-01.conf a+08-02.conf a+07-03.conf a+06-04.conf a+05-05.conf a+04-06.conf a+03-07.conf a+02-08.conf a+01-09.conf a+00-10.conf");
    }

    #[test]
    fn a_rebuild_keeps_what_is_known() {
        for (existing, tries_now, expected) in [
            ("", None, "a.conf"),
            ("", tries(3), "a+3-0.conf"),
            ("b+1.conf ab.conf a.efi", tries(3), "a+3-0.conf"),
            ("a.conf", tries(3), "a.conf"),
            ("a+3.conf", tries(3), "a+3.conf"),
            ("a+02-01.conf", tries(3), "a+02-01.conf"),
            ("a+0-3.conf", tries(3), "a+0-3.conf"),
            ("a+1-2.conf", None, "a+1-2.conf"),
            ("A+1-2.CONF", tries(3), "A+1-2.CONF"),
            ("a+0-3.conf a+2-1.conf", tries(3), "a+2-1.conf"),
            ("a+2-1.conf a.conf a+0-3.conf", tries(3), "a.conf"),
        ] {
            let existing: Vec<_> = existing.split_whitespace().map(name).collect();
            let kept = name("a.conf").among(&existing, tries_now);
            assert_eq!(kept.to_string(), expected, "{existing:?}");
        }
    }

    proptest! {
        #[test]
        fn names_read_back(text in r"[a-z+0-9.-]{0,12}\.(conf|efi)") {
            prop_assert_eq!(name(&text).to_string(), text);
        }

        #[test]
        fn no_try_makes_a_name_longer(count in 1..=u16::MAX, tries_done in 0..20_u16) {
            let mut counted = name("a.conf").with_tries(tries(count).unwrap());
            let length = counted.to_string().len();
            for _ in 0..tries_done.min(count) {
                counted = tried(&counted);
                prop_assert_eq!(counted.to_string().len(), length);
            }
            prop_assert_eq!(EntryFileName::parse(&counted.to_string()), Some(counted));
        }
    }
}
