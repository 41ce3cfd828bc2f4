//! What a dialled value means: the E.164 number, its region and its type.
//!
//! The only file that names the number library (Google's metadata through `rlibphonenumber`).

use std::fmt;
use std::str::FromStr;

use rlibphonenumber::{
    NumberLengthType, PHONE_NUMBER_UTIL, PhoneNumber, PhoneNumberFormat, PhoneNumberType,
};
use serde::{Serialize, Serializer};

use crate::base::{DialString, E164};

/// A region of the numbering plan: an ISO 3166 country (`DE`), or `001` for global networks
/// (satellite, international networks).
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Region([u8; 3]);

impl Region {
    /// Global networks: country codes that belong to no country (+870, +881, +882, +883, +979…).
    pub const WORLD: Region = Region(*b"001");

    /// The code as it is written in plans.
    pub fn as_str(&self) -> &str {
        let len = if self.0[2] == 0 { 2 } else { 3 };
        std::str::from_utf8(&self.0[..len]).unwrap_or("")
    }

    /// The country calling code without `+`, `None` for `001`.
    pub fn calling_code(&self) -> Option<i32> {
        self.library().and_then(|r| PHONE_NUMBER_UTIL.get_country_code_for_region(r))
    }

    /// The region that somebody probably meant who wrote `text`: small letters, `UK`, a name.
    pub fn meant(text: &str) -> Option<Region> {
        let text = text.trim();
        let word = text.to_uppercase();
        let named = WORDS.iter().find(|(name, _)| *name == word).map(|(_, code)| *code);
        named.unwrap_or(&word).parse().ok().filter(|region: &Region| region.as_str() != text)
    }

    fn new(code: &str) -> Option<Region> {
        match *code.as_bytes() {
            [a, b] => Some(Region([a, b, 0])),
            [a, b, c] => Some(Region([a, b, c])),
            _ => None,
        }
    }

    fn library(&self) -> Option<rlibphonenumber::Region> {
        self.as_str().parse().ok()
    }
}

impl FromStr for Region {
    type Err = RegionError;

    fn from_str(text: &str) -> Result<Region, RegionError> {
        if text == "001" {
            return Ok(Region::WORLD);
        }
        let region = Region::new(text).filter(|_| text.bytes().all(|b| b.is_ascii_uppercase()));
        match region {
            Some(region) if region.calling_code().is_some_and(|code| code > 0) => Ok(region),
            _ => Err(RegionError),
        }
    }
}

impl fmt::Display for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for Region {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(self.as_str())
    }
}

/// A text is no region.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a country code of two capital letters (\"DE\") that has telephones, nor \"001\"")]
pub struct RegionError;

/// The kind of a number as its numbering plan has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
#[expect(missing_docs, reason = "the words say it")]
pub enum NumberType {
    FixedLine,
    Mobile,
    FixedLineOrMobile,
    TollFree,
    PremiumRate,
    SharedCost,
    Voip,
    PersonalNumber,
    Pager,
    Uan,
    Voicemail,
    Unknown,
}

impl NumberType {
    /// Every type with its word in plans.
    pub const WORDS: &'static [(&'static str, NumberType)] = &[
        ("fixed-line", NumberType::FixedLine),
        ("mobile", NumberType::Mobile),
        ("fixed-line-or-mobile", NumberType::FixedLineOrMobile),
        ("toll-free", NumberType::TollFree),
        ("premium-rate", NumberType::PremiumRate),
        ("shared-cost", NumberType::SharedCost),
        ("voip", NumberType::Voip),
        ("personal-number", NumberType::PersonalNumber),
        ("pager", NumberType::Pager),
        ("uan", NumberType::Uan),
        ("voicemail", NumberType::Voicemail),
        ("unknown", NumberType::Unknown),
    ];

    /// The word in plans.
    pub fn word(self) -> &'static str {
        Self::WORDS.iter().find(|(_, t)| *t == self).map_or("unknown", |(word, _)| word)
    }

    /// Whether an allow rule must name this type to let it pass: the caller pays extra.
    pub fn must_be_named(self) -> bool {
        matches!(self, NumberType::PremiumRate | NumberType::SharedCost)
    }
}

/// A number read in full.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub struct Number {
    /// The number in international form.
    pub e164: E164,
    /// As it is dialled inside its own country: digits with the trunk prefix (`0301234567`).
    #[serde(skip)]
    pub national: String,
    /// Its region; `None` where the numbering plan knows no such number.
    pub region: Option<Region>,
    /// Its type.
    #[serde(rename = "type")]
    pub kind: NumberType,
}

impl Number {
    /// Reads what was dialled by somebody in `country`. `None` where it is no complete number there.
    pub fn read(dialled: &DialString, country: Region) -> Option<Number> {
        let text = dialled.as_str();
        if !text.bytes().enumerate().all(|(i, b)| b.is_ascii_digit() || (i == 0 && b == b'+')) {
            return None;
        }
        let parsed = PHONE_NUMBER_UTIL.parse(text, country.library()).ok()?;
        Number::from_library(&parsed)
    }

    /// Reads numbers of a country once, so that the library's tables for it are made before the
    /// first call needs them (tens of ms each, once in a process).
    pub fn warm(country: Region) {
        let Some(library) = country.library() else { return };
        for kind in [PhoneNumberType::FixedLine, PhoneNumberType::Mobile] {
            let example = PHONE_NUMBER_UTIL.get_example_number_for_type_and_region(library, kind);
            if let Ok(number) = example
                && let Some(number) = Number::from_library(&number)
                && let Ok(national) = number.national.parse()
            {
                Number::read(&national, country);
            }
        }
    }

    /// Reads a number in international form.
    pub fn from_e164(e164: &E164) -> Option<Number> {
        let parsed = PHONE_NUMBER_UTIL.parse(e164.as_str(), None).ok()?;
        Number::from_library(&parsed)
    }

    fn from_library(parsed: &PhoneNumber) -> Option<Number> {
        // Possible by length, not valid by range: numbering plans change faster than metadata.
        if parsed.is_possible_with_reason() != Ok(NumberLengthType::IsPossible) {
            return None;
        }
        let e164: E164 = parsed.format_as(PhoneNumberFormat::E164).parse().ok()?;
        let region = parsed.get_region_code().and_then(|r| Region::new(&r.as_region_str()));
        let digits = parsed.format_as(PhoneNumberFormat::National);
        let national = digits.chars().filter(char::is_ascii_digit).collect();
        Some(Number { e164, national, region, kind: kind(parsed.get_type()) })
    }
}

fn kind(library: PhoneNumberType) -> NumberType {
    match library {
        PhoneNumberType::FixedLine => NumberType::FixedLine,
        PhoneNumberType::Mobile => NumberType::Mobile,
        PhoneNumberType::FixedLineOrMobile => NumberType::FixedLineOrMobile,
        PhoneNumberType::TollFree => NumberType::TollFree,
        PhoneNumberType::PremiumRate => NumberType::PremiumRate,
        PhoneNumberType::SharedCost => NumberType::SharedCost,
        PhoneNumberType::VoIP => NumberType::Voip,
        PhoneNumberType::PersonalNumber => NumberType::PersonalNumber,
        PhoneNumberType::Pager => NumberType::Pager,
        PhoneNumberType::UAN => NumberType::Uan,
        PhoneNumberType::VoiceMail => NumberType::Voicemail,
        PhoneNumberType::Unknown => NumberType::Unknown,
    }
}

/// What people write for a country's code.
const WORDS: &[(&str, &str)] = &[
    ("UK", "GB"),
    ("ENGLAND", "GB"),
    ("EL", "GR"),
    ("USA", "US"),
    ("DEU", "DE"),
    ("GER", "DE"),
    ("GERMANY", "DE"),
    ("DEUTSCHLAND", "DE"),
    ("AUT", "AT"),
    ("AUSTRIA", "AT"),
    ("CHE", "CH"),
    ("SWITZERLAND", "CH"),
    ("FRA", "FR"),
    ("FRANCE", "FR"),
    ("GBR", "GB"),
    ("ITA", "IT"),
    ("ITALY", "IT"),
    ("ESP", "ES"),
    ("SPAIN", "ES"),
    ("NLD", "NL"),
    ("CAN", "CA"),
    ("CANADA", "CA"),
    ("WORLD", "001"),
    ("1", "001"),
    ("01", "001"),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, country: &str) -> Option<(String, String, NumberType)> {
        let number = Number::read(&text.parse().unwrap(), country.parse().unwrap())?;
        let region = number.region.map_or("none".to_owned(), |r| r.to_string());
        Some((number.e164.as_str().to_owned(), region, number.kind))
    }

    #[test]
    fn numbers_are_read_in_the_callers_country() {
        use NumberType::{FixedLine, Mobile, PremiumRate, SharedCost, Voip};
        for (text, country, e164, region, kind) in [
            ("030 1234567", "DE", "+49301234567", "DE", FixedLine),
            ("0049 30 1234567", "DE", "+49301234567", "DE", FixedLine),
            ("011 49 30 1234567", "US", "+49301234567", "DE", FixedLine),
            ("+1 876 555 1234", "DE", "+18765551234", "JM", Mobile),
            ("0180 3 123456", "DE", "+491803123456", "DE", SharedCost),
            ("+882 13 300655", "DE", "+88213300655", "001", Voip),
            ("+979 1 2345 6789", "DE", "+979123456789", "001", PremiumRate),
        ] {
            assert_eq!(read(text, country), Some((e164.into(), region.into(), kind)), "{text}");
        }
    }

    #[test]
    fn short_and_odd_values_are_no_numbers() {
        for text in ["604", "100", "112", "*97", "#31#030123456", "+", "++4930", "A1", "+999123"] {
            assert_eq!(read(text, "DE"), None, "{text}");
        }
    }

    #[test]
    fn regions_are_countries_with_telephones_or_001() {
        assert!("DE".parse::<Region>().is_ok() && "001".parse::<Region>().is_ok());
        for bad in ["", "de", "Germany", "QQ", "EU", "999", "ZZ"] {
            assert_eq!(bad.parse::<Region>(), Err(RegionError), "{bad}");
        }
        let meant = |text: &str| Region::meant(text).map(|region| region.to_string());
        for (text, code) in [("de", "DE"), ("UK", "GB"), ("Germany", "DE"), ("usa", "US")] {
            assert_eq!(meant(text).as_deref(), Some(code), "{text}");
        }
        assert_eq!((meant("QQ"), meant("DE")), (None, None));
    }

    #[test]
    fn the_national_form_has_the_trunk_prefix() {
        let number = Number::from_e164(&"+49301234567".parse().unwrap()).unwrap();
        assert_eq!(number.national, "0301234567");
    }
}
