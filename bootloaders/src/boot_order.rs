//! The boot options of a machine's firmware, and their order.
//!
//! Specification: UEFI 2.10, section 3.3: each option is a variable `Boot####`, and
//! `BootOrder` lists their numbers. What [`BootOptions::register`] makes of them is
//! what `bootctl install` and `bootctl update` make of them.

use std::collections::BTreeMap;

use crate::load_option::{LoadOption, Started};

/// The variable that holds the order.
pub const BOOT_ORDER: &str = "BootOrder";

/// The boot options of a machine.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BootOptions {
    /// The values of the variables `Boot####`, by number.
    pub options: BTreeMap<u16, Vec<u8>>,
    /// Which are tried, in this order. May name options that are not there.
    pub order: Vec<u16>,
}

/// Where an option stands in the order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rank {
    /// Before all others.
    First,
    /// Where it is; after all others if it is nowhere.
    Any,
}

/// A variable that is to be another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VariableChange {
    /// Its name, of the global vendor.
    pub name: String,
    /// What becomes of it.
    pub write: VariableWrite,
}

/// What becomes of a variable. Values are without attributes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum VariableWrite {
    /// It is made.
    Create(Vec<u8>),
    /// It gets another value.
    Replace(Vec<u8>),
    /// It goes.
    Remove,
}

impl VariableWrite {
    fn of(value: Vec<u8>, is_there: bool) -> Self {
        if is_there {
            Self::Replace(value)
        } else {
            Self::Create(value)
        }
    }
}

impl BootOptions {
    /// Makes sure that an option is there and stands in the order.
    ///
    /// One that starts the same program is taken for it; with [`Rank::First`] it is
    /// written anew, else it stays as it is. Without a free number nothing changes.
    pub fn register(&mut self, option: &LoadOption, rank: Rank) {
        let same = self
            .options
            .iter()
            .find(|(_, value)| option.is_the_target_of(value))
            .map(|(number, _)| *number);
        let Some(number) = same.or_else(|| self.free_number()) else {
            return;
        };
        if same.is_none() || rank == Rank::First {
            self.options.insert(number, option.encode());
        }
        if rank == Rank::First {
            self.order.retain(|other| *other != number);
            self.order.insert(0, number);
        } else if !self.order.contains(&number) {
            self.order.push(number);
        }
    }

    /// Takes options away, from the order too.
    pub fn remove(&mut self, is_gone: &dyn Fn(&Started) -> bool) {
        self.options.retain(|number, value| {
            let is_gone = Started::by(value).is_some_and(|started| is_gone(&started));
            if is_gone {
                self.order.retain(|other| other != number);
            }
            !is_gone
        });
    }

    /// The variables that differ in `after`, in the order in which they are to be
    /// written: an option before the order that names it, and one that goes after that.
    #[must_use]
    pub fn changes_to(&self, after: &Self) -> Vec<VariableChange> {
        let differs = |(number, value): &(&u16, &Vec<u8>)| self.options.get(number) != Some(*value);
        let options = after.options.iter().filter(differs);
        let mut changes: Vec<_> = options
            .map(|(number, value)| VariableChange {
                name: option_name(*number),
                write: VariableWrite::of(value.clone(), self.options.contains_key(number)),
            })
            .collect();
        if self.order != after.order {
            let numbers = after.order.iter().copied();
            let value = numbers.flat_map(u16::to_le_bytes).collect();
            changes.push(VariableChange {
                name: BOOT_ORDER.to_owned(),
                write: VariableWrite::of(value, !self.order.is_empty()),
            });
        }
        let gone = self.options.keys();
        let gone = gone.filter(|number| !after.options.contains_key(number));
        changes.extend(gone.map(|number| VariableChange {
            name: option_name(*number),
            write: VariableWrite::Remove,
        }));
        changes
    }

    /// A number that no option has and that the order does not name.
    fn free_number(&self) -> Option<u16> {
        let is_free =
            |number: &u16| !self.options.contains_key(number) && !self.order.contains(number);
        (0..u16::MAX).find(is_free)
    }
}

/// The name of an option's variable.
#[must_use]
pub fn option_name(number: u16) -> String {
    format!("Boot{number:04X}")
}

/// The number of an option, from the name of its variable.
#[must_use]
pub fn option_number(name: &str) -> Option<u16> {
    let number = u16::from_str_radix(name.strip_prefix("Boot")?, 16).ok()?;
    (option_name(number) == name).then_some(number)
}

/// The order, from the value of its variable.
#[must_use]
pub fn parse_order(value: &[u8]) -> Vec<u16> {
    let numbers = value.chunks_exact(2);
    numbers
        .map(|pair| u16::from_le_bytes([pair[0], pair[1]]))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use tree_manifest::TreePath;

    use crate::line::Line;
    use crate::load_option::GptPartition;

    fn option(guid: u8) -> LoadOption {
        LoadOption {
            description: Line::new("Linux Boot Manager").unwrap(),
            partition: GptPartition {
                number: 1,
                start: 2048,
                blocks: 102_400,
                guid: [guid; 16],
            },
            program: TreePath::new("EFI/systemd/systemd-bootx64.efi").unwrap(),
        }
    }

    /// A machine with a setup menu and a disk; 7 is named and not there.
    fn machine() -> BootOptions {
        BootOptions {
            options: [(0, vec![1]), (1, vec![2])].into(),
            order: vec![1, 7, 0],
        }
    }

    #[test]
    fn a_new_option_takes_a_free_number_and_the_rank_that_is_asked_for() {
        for (rank, order) in [
            (Rank::First, vec![2, 1, 7, 0]),
            (Rank::Any, vec![1, 7, 0, 2]),
        ] {
            let mut after = machine();
            after.register(&option(1), rank);
            assert_eq!(after.order, order);
            assert_eq!(after.options[&2], option(1).encode());
            let changes = machine().changes_to(&after);
            let names: Vec<_> = changes.iter().map(|change| change.name.as_str()).collect();
            assert_eq!(names, ["Boot0002", "BootOrder"]);
            assert!(matches!(changes[0].write, VariableWrite::Create(_)));
            assert!(matches!(changes[1].write, VariableWrite::Replace(_)));
        }
    }

    #[test]
    fn one_that_is_there_stays_where_a_user_put_it_until_it_must_be_first() {
        let mut before = machine();
        let mut renamed = option(1);
        renamed.description = Line::new("My Linux").unwrap();
        before.options.insert(9, renamed.encode());
        before.order.push(9);
        let mut after = before.clone();
        after.register(&option(1), Rank::Any);
        assert_eq!(before.changes_to(&after), []);
        after.register(&option(1), Rank::First);
        assert_eq!(after.order, [9, 1, 7, 0]);
        assert_eq!(after.options[&9], option(1).encode());
    }

    #[test]
    fn an_option_that_goes_is_named_by_no_order() {
        let mut before = machine();
        before.options.insert(7, option(1).encode());
        before.options.insert(8, option(2).encode());
        let mut after = before.clone();
        after.remove(&|started| {
            let Started {
                description,
                guid,
                program,
            } = started;
            description == "Linux Boot Manager"
                && *guid == [1; 16]
                && program == "EFI/SYSTEMD/SYSTEMD-BOOTX64.EFI"
        });
        assert_eq!(after.order, [1, 0]);
        let changes = before.changes_to(&after);
        let order = VariableWrite::Replace(vec![1, 0, 0, 0]);
        let expected = [("BootOrder", order), ("Boot0007", VariableWrite::Remove)];
        let expected = expected.map(|(name, write)| VariableChange {
            name: name.to_owned(),
            write,
        });
        assert_eq!(changes, expected);
    }

    #[test]
    fn numbers_have_four_digits_in_upper_case() {
        assert_eq!(option_number("Boot00AF"), Some(0xaf));
        for name in [
            "Boot00af",
            "BootOrder",
            "Boot001",
            "Boot+0AF",
            "BootNext",
            "Boot00000",
        ] {
            assert_eq!(option_number(name), None, "{name}");
        }
    }

    proptest! {
        #[test]
        fn registering_again_changes_nothing_and_loses_nothing(
            options in prop::collection::btree_map(
                any::<u16>(), prop::collection::vec(any::<u8>(), 0..8), 0..6),
            order in prop::collection::vec(any::<u16>(), 0..8),
            first in any::<bool>(),
        ) {
            let rank = if first { Rank::First } else { Rank::Any };
            let before = BootOptions { options, order };
            let mut once = before.clone();
            once.register(&option(1), rank);
            let mut twice = once.clone();
            twice.register(&option(1), rank);
            prop_assert_eq!(&once, &twice);
            for (number, value) in &before.options {
                prop_assert_eq!(&once.options[number], value);
            }
            let rest = |own: u16| once.order.iter().filter(move |number| **number != own);
            let own = once.options.keys().find(|number| !before.options.contains_key(number));
            prop_assert!(rest(*own.unwrap()).eq(before.order.iter()));
            let value: Vec<u8> = once.order.iter().copied().flat_map(u16::to_le_bytes).collect();
            prop_assert_eq!(parse_order(&value), once.order);
        }
    }
}
