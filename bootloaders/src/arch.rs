//! Processor architectures under their many names.
//!
//! One architecture has a machine type in PE images, a suffix in EFI file names,
//! a word in Nix system doubles and one in systemd. The table below is the only
//! place that knows them.

use std::fmt;
use std::str::FromStr;

use crate::error::Error;

/// An architecture that UEFI firmware runs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Arch {
    /// 32-bit x86.
    Ia32,
    /// 64-bit x86.
    X64,
    /// 32-bit Arm.
    Arm,
    /// 64-bit Arm.
    Aa64,
    /// 32-bit RISC-V.
    Riscv32,
    /// 64-bit RISC-V.
    Riscv64,
    /// 64-bit `LoongArch`.
    LoongArch64,
}

/// What is to be known about one architecture.
struct Facts {
    arch: Arch,
    /// In EFI file names and in the `architecture` key of an entry.
    suffix: &'static str,
    /// PE machine types; all Arm variants are one architecture to UEFI.
    machines: &'static [u16],
    /// The first words of Nix system doubles.
    nix: &'static [&'static str],
    /// In systemd (`ConditionArchitecture=`).
    systemd: &'static str,
    /// The kernel's `COMMAND_LINE_SIZE`: bytes, the final NUL among them.
    command_line_size: usize,
}

/// In the order of [`Arch`].
const TABLE: [Facts; 7] = [
    Facts {
        arch: Arch::Ia32,
        suffix: "ia32",
        machines: &[0x014c],
        nix: &["i686", "i586", "i486", "i386"],
        systemd: "x86",
        command_line_size: 2048,
    },
    Facts {
        arch: Arch::X64,
        suffix: "x64",
        machines: &[0x8664],
        nix: &["x86_64"],
        systemd: "x86-64",
        command_line_size: 2048,
    },
    Facts {
        arch: Arch::Arm,
        suffix: "arm",
        machines: &[0x01c0, 0x01c2, 0x01c4],
        nix: &["armv5tel", "armv6l", "armv7a", "armv7l"],
        systemd: "arm",
        command_line_size: 1024,
    },
    Facts {
        arch: Arch::Aa64,
        suffix: "aa64",
        machines: &[0xaa64],
        nix: &["aarch64"],
        systemd: "arm64",
        command_line_size: 2048,
    },
    Facts {
        arch: Arch::Riscv32,
        suffix: "riscv32",
        machines: &[0x5032],
        nix: &["riscv32"],
        systemd: "riscv32",
        command_line_size: 1024,
    },
    Facts {
        arch: Arch::Riscv64,
        suffix: "riscv64",
        machines: &[0x5064],
        nix: &["riscv64"],
        systemd: "riscv64",
        command_line_size: 1024,
    },
    Facts {
        arch: Arch::LoongArch64,
        suffix: "loongarch64",
        machines: &[0x6264],
        nix: &["loongarch64"],
        systemd: "loongarch64",
        command_line_size: 4096,
    },
];

impl Arch {
    /// The architecture of a PE image's machine type.
    #[must_use]
    pub fn from_machine(machine: u16) -> Option<Self> {
        Self::find(|facts| facts.machines.contains(&machine))
    }

    /// The architecture of a Nix system double such as `x86_64-linux`.
    #[must_use]
    pub fn from_nix_system(system: &str) -> Option<Self> {
        let cpu = system.strip_suffix("-linux")?;
        Self::find(|facts| facts.nix.contains(&cpu))
    }

    /// The suffix in EFI file names and the word for an entry's `architecture`,
    /// such as `x64`.
    #[must_use]
    pub fn suffix(self) -> &'static str {
        self.facts().suffix
    }

    /// The file that firmware starts from a disk without a boot variable for it,
    /// such as `BOOTX64.EFI`.
    #[must_use]
    pub fn removable_name(self) -> String {
        format!("BOOT{}.EFI", self.suffix().to_ascii_uppercase())
    }

    /// The longest command line that this architecture's kernel keeps, in bytes.
    /// What comes after is dropped without a word.
    #[must_use]
    pub fn longest_command_line(self) -> usize {
        self.facts().command_line_size - 1
    }

    /// The longest command line that any architecture's kernel keeps, in bytes.
    #[must_use]
    pub fn longest_command_line_of_all() -> usize {
        let lengths = TABLE.iter().map(|facts| facts.command_line_size - 1);
        lengths.max().unwrap_or_default()
    }

    fn facts(self) -> &'static Facts {
        &TABLE[self as usize]
    }

    fn find(matches: impl Fn(&Facts) -> bool) -> Option<Self> {
        TABLE
            .iter()
            .find(|facts| matches(facts))
            .map(|facts| facts.arch)
    }
}

impl fmt::Display for Arch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.suffix())
    }
}

impl FromStr for Arch {
    type Err = Error;

    /// Takes an EFI suffix (`x64`, in any case), systemd's name (`x86-64`) or the
    /// processor of a Nix system double (`x86_64`).
    fn from_str(name: &str) -> Result<Self, Error> {
        Self::find(|facts| {
            facts.suffix.eq_ignore_ascii_case(name)
                || facts.systemd == name
                || facts.nix.contains(&name)
        })
        .ok_or_else(|| Error::Arch(name.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_in_the_order_of_the_type() {
        for (index, facts) in TABLE.iter().enumerate() {
            assert_eq!(facts.arch as usize, index, "{}", facts.suffix);
        }
    }

    #[test]
    fn every_name_of_an_architecture_finds_it() {
        for (names, machine, system, removable) in [
            ("ia32 IA32 x86 i686", 0x14c, "i686-linux", "BOOTIA32.EFI"),
            ("x64 x86-64 x86_64", 0x8664, "x86_64-linux", "BOOTX64.EFI"),
            ("arm armv7l", 0x1c2, "armv7l-linux", "BOOTARM.EFI"),
            (
                "aa64 arm64 aarch64",
                0xaa64,
                "aarch64-linux",
                "BOOTAA64.EFI",
            ),
            ("riscv64", 0x5064, "riscv64-linux", "BOOTRISCV64.EFI"),
            (
                "loongarch64",
                0x6264,
                "loongarch64-linux",
                "BOOTLOONGARCH64.EFI",
            ),
        ] {
            let arch = Arch::from_machine(machine).unwrap();
            assert_eq!(Arch::from_nix_system(system), Some(arch));
            assert_eq!(arch.removable_name(), removable);
            for name in names.split(' ') {
                assert_eq!(name.parse::<Arch>().unwrap(), arch, "{name}");
            }
        }
        assert_eq!(Arch::from_nix_system("x86_64-darwin"), None);
        assert_eq!(Arch::from_nix_system("x86_64"), None);
        assert_eq!(Arch::from_machine(0), None);
        assert!("vax".parse::<Arch>().is_err());
    }
}
