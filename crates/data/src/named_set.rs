//! The sets that have a name.

use std::fmt;
use std::str::FromStr;

use crate::error::{Error, Result};

/// The sets that have a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum NamedSet {
    /// Handwritten digits, embedded: 60,000 of 28 x 28, grey.
    Mnist,
    /// The same in colours drawn from the seed.
    Colour,
    /// Fashion-MNIST.
    Fashion,
    /// KMNIST.
    Kmnist,
    /// The digits of EMNIST.
    EmnistDigits,
    /// CIFAR-10.
    Cifar10,
}

impl NamedSet {
    /// All of them.
    pub const ALL: [NamedSet; 6] = [
        NamedSet::Mnist,
        NamedSet::Colour,
        NamedSet::Fashion,
        NamedSet::Kmnist,
        NamedSet::EmnistDigits,
        NamedSet::Cifar10,
    ];

    /// What it is called: `emnist-digits`.
    pub fn name(self) -> &'static str {
        match self {
            NamedSet::Mnist => "mnist",
            NamedSet::Colour => "colour",
            NamedSet::Fashion => "fashion",
            NamedSet::Kmnist => "kmnist",
            NamedSet::EmnistDigits => "emnist-digits",
            NamedSet::Cifar10 => "cifar10",
        }
    }

    /// What it holds, and what it takes to get it.
    pub fn about(self) -> &'static str {
        match self {
            NamedSet::Mnist => "Handwritten digits, part of the program: 60,000 of 28 x 28, grey",
            NamedSet::Colour => "The same in colours drawn from the seed, on grounds of other colours",
            NamedSet::Fashion => {
                "Fashion-MNIST, clothes: 60,000 of 28 x 28, grey, fetched when first asked for"
            }
            NamedSet::Kmnist => {
                "KMNIST, cursive Japanese: 60,000 of 28 x 28, grey, fetched when first asked for"
            }
            NamedSet::EmnistDigits => {
                "EMNIST, handwritten digits: 240,000 of 28 x 28, grey, fetched when first asked for (560 MB, of which \
                 50 stay)"
            }
            NamedSet::Cifar10 => {
                "CIFAR-10, animals and vehicles: 50,000 of 32 x 32, colour, fetched when first asked for (170 MB)"
            }
        }
    }
}

impl fmt::Display for NamedSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for NamedSet {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        NamedSet::ALL.into_iter().find(|set| set.name() == name).ok_or_else(|| {
            let known = NamedSet::ALL.map(NamedSet::name).join(", ");
            Error::failure(format!("there is no data set {name}; there are: {known}"))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_back() {
        for set in NamedSet::ALL {
            assert_eq!(set.to_string().parse(), Ok(set));
        }
        let message = "digits".parse::<NamedSet>().unwrap_err().to_string();
        assert!(message.contains("no data set digits; there are: mnist, colour"), "{message}");
    }
}
