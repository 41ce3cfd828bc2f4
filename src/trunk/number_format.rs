//! How a trunk writes numbers in the user part of its URIs.

use crate::base::E164;

/// How a trunk writes numbers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum NumberFormat {
    /// `+49301234567`.
    #[default]
    E164,
    /// `49301234567`.
    E164NoPlus,
    /// `0301234567` inside the trunk's country, `0033…` outside.
    National,
    /// `0049301234567`.
    DoubleZero,
}

impl NumberFormat {
    /// Every format with its word in files.
    pub const WORDS: &'static [(&'static str, NumberFormat)] = &[
        ("e164", NumberFormat::E164),
        ("e164-no-plus", NumberFormat::E164NoPlus),
        ("national", NumberFormat::National),
        ("00", NumberFormat::DoubleZero),
    ];

    /// The word in files.
    pub fn word(self) -> &'static str {
        Self::WORDS.iter().find(|(_, f)| *f == self).map_or("", |(word, _)| word)
    }

    /// A number as the trunk writes it. `national` is its form inside its own country, with the
    /// trunk prefix, and `calling_code` that of the trunk's country.
    pub fn write(self, number: &E164, national: &str, calling_code: Option<i32>) -> String {
        let digits = number.digits();
        match self {
            NumberFormat::E164 => number.as_str().to_owned(),
            NumberFormat::E164NoPlus => digits.to_owned(),
            NumberFormat::DoubleZero => format!("00{digits}"),
            NumberFormat::National => match calling_code {
                Some(code) if digits.starts_with(&code.to_string()) => national.to_owned(),
                _ => format!("00{digits}"),
            },
        }
    }

    /// What the trunk wrote, as somebody in its country would dial it. Anything that is not digits
    /// behind an optional `+` stays as it is.
    pub fn read(self, text: &str) -> String {
        let plain = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        match self {
            NumberFormat::E164NoPlus if plain => format!("+{text}"),
            NumberFormat::National | NumberFormat::DoubleZero if plain => {
                match text.strip_prefix("00") {
                    Some(rest) => format!("+{rest}"),
                    None => text.to_owned(),
                }
            }
            _ => text.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_format_is_written_and_read_back() {
        let number: E164 = "+49301234567".parse().unwrap();
        for (format, wire) in [
            (NumberFormat::E164, "+49301234567"),
            (NumberFormat::E164NoPlus, "49301234567"),
            (NumberFormat::DoubleZero, "0049301234567"),
            (NumberFormat::National, "0301234567"),
        ] {
            assert_eq!(format.write(&number, "0301234567", Some(49)), wire);
            let read = format.read(wire);
            assert!(read == "+49301234567" || read == "0301234567", "{read}");
        }
        assert_eq!(NumberFormat::National.write(&number, "x", Some(33)), "0049301234567");
        assert_eq!(NumberFormat::E164NoPlus.read("anonymous"), "anonymous");
    }
}
