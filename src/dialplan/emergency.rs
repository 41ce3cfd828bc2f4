//! Emergency numbers that everybody expects to work, known without any plan.
//!
//! In a plan that provides emergency calls the numbers of a caller's country reach help whatever
//! `[emergency] numbers` lists: the table can add numbers, never take one away. In a plan that says
//! `emergency = "not-provided"` they are refused in words, never routed and never taken for an
//! extension.

use super::number::Region;

/// Whether `digits` is an emergency number of `country`: what reaches police, fire brigade or
/// ambulance there from a fixed line, by the countries' numbering plans (ITU-T E.129 presentations).
pub(super) fn is_national(digits: &str, country: Region) -> bool {
    NUMBERS
        .iter()
        .filter(|(countries, _)| countries.contains(&country.as_str()))
        .any(|(_, numbers)| numbers.contains(&digits))
}

/// Whether somebody in `country` would expect `digits` to reach help.
///
/// 112 and 911 count everywhere (3GPP TS 22.101 section 10.1.1).
pub(super) fn is_expected(digits: &str, country: Region) -> bool {
    matches!(digits, "112" | "911") || is_national(digits, country)
}

/// The countries (ISO 3166) in which `digits` is an emergency number; none where it is one nowhere.
pub fn emergency_countries(digits: &str) -> Vec<&'static str> {
    let tables = NUMBERS.iter().filter(|(_, numbers)| numbers.contains(&digits));
    tables.flat_map(|(countries, _)| countries.iter().copied()).collect()
}

/// Whether `digits` can be an emergency number at all: `0` would hide outside lines, `*` features.
pub(super) fn is_plausible(digits: &str) -> bool {
    (2..=6).contains(&digits.len())
        && digits.bytes().all(|b| b.is_ascii_digit())
        && !matches!(digits, "00" | "01" | "09")
}

/// Countries that share numbers stand together; a country may stand in several lines.
const NUMBERS: &[(&[&str], &[&str])] = &[
    // 112 of the European Union and its neighbours (Directive (EU) 2018/1972, article 109).
    (
        &[
            "AD", "AL", "AM", "AT", "AX", "AZ", "BA", "BE", "BG", "CH", "CY", "CZ", "DE", "DK",
            "EE", "ES", "FI", "FO", "FR", "GB", "GE", "GF", "GG", "GI", "GL", "GP", "GR", "HR",
            "HU", "IE", "IM", "IS", "IT", "JE", "LI", "LT", "LU", "LV", "MC", "MD", "ME", "MK",
            "MQ", "MT", "NL", "NO", "PL", "PT", "RE", "RO", "RS", "RU", "SE", "SI", "SK", "SM",
            "TR", "UA", "VA", "XK", "YT",
        ],
        &["112"],
    ),
    (&["DE", "AD", "NO", "LU"], &["110"]),
    (&["AT"], &["122", "133", "144"]),
    (&["CH", "LI"], &["117", "118", "144"]),
    (&["FR", "GF", "GP", "MC", "MQ", "RE", "YT"], &["15", "17", "18"]),
    (&["FR"], &["114"]),
    (&["IT", "SM", "VA"], &["113", "115", "118"]),
    (&["ES"], &["061", "062", "080", "085", "091", "092"]),
    (&["BE"], &["100", "101"]),
    (&["NO"], &["113"]),
    (&["LU", "SI"], &["113"]),
    (&["CZ", "SK"], &["150", "155", "158"]),
    (&["HU"], &["104", "105", "107"]),
    (&["PL"], &["997", "998", "999"]),
    (&["GR"], &["100", "166", "199"]),
    (&["CY"], &["199"]),
    (&["HR", "RS", "MK", "XK"], &["192", "193", "194"]),
    (&["BA", "ME"], &["122", "123", "124"]),
    (&["AL"], &["127", "128", "129"]),
    (&["AD"], &["116", "118"]),
    (&["TR"], &["110", "155"]),
    (&["UA", "RU", "BY", "KZ", "KG", "UZ", "TJ", "TM", "AM", "AZ"], &["101", "102", "103"]),
    (&["KZ", "KG", "UZ", "BY"], &["112"]),
    (&["MN"], &["101", "102", "103", "105"]),
    (
        &[
            "GB", "IE", "GG", "IM", "JE", "AE", "SG", "MY", "HK", "MO", "KE", "GH", "UG", "BD",
            "BH", "QA", "ZW", "MU", "SZ", "TT",
        ],
        &["999"],
    ),
    (
        &[
            "US", "CA", "MX", "PR", "VI", "GU", "AS", "MP", "BM", "KY", "BS", "DO", "JM", "CR",
            "PA", "HN", "SV", "EC", "UY", "PY", "AR", "PE", "VE", "PH", "JO", "SA", "FJ", "AG",
            "BZ", "TC",
        ],
        &["911"],
    ),
    // Tests the address that 911 would be told: a refusal in words here, too.
    (&["US", "CA"], &["933"]),
    (&["BS"], &["919"]),
    (&["JM"], &["110", "119"]),
    (&["TT"], &["811", "990"]),
    (&["BB"], &["211", "311", "511"]),
    (&["AR"], &["100", "101", "107"]),
    (&["BR"], &["190", "192", "193"]),
    (&["CL"], &["131", "132", "133"]),
    (&["CO"], &["123"]),
    (&["PE"], &["105", "106", "116"]),
    (&["BO"], &["110", "118", "119"]),
    (&["VE"], &["171"]),
    (&["GT"], &["110", "120", "122", "123"]),
    (&["CU"], &["104", "105", "106"]),
    (&["AU"], &["000", "106", "112"]),
    (&["NZ"], &["111"]),
    (&["JP"], &["110", "118", "119"]),
    (&["KR"], &["112", "119"]),
    (&["TW"], &["110", "112", "119"]),
    (&["CN"], &["110", "119", "120", "122"]),
    (&["IN"], &["100", "101", "102", "108", "112"]),
    (&["PK"], &["15", "16", "115", "1122"]),
    (&["LK"], &["110", "118", "119"]),
    (&["NP"], &["100", "101", "102"]),
    (&["SG"], &["995"]),
    (&["TH"], &["191", "199", "1669"]),
    (&["VN"], &["113", "114", "115"]),
    (&["ID"], &["110", "112", "113", "118", "119"]),
    (&["KH"], &["117", "118", "119"]),
    (&["MM"], &["191", "192", "199"]),
    (&["PH"], &["117"]),
    (&["AE"], &["997", "998", "112"]),
    (&["SA"], &["112", "997", "998", "999"]),
    (&["OM"], &["9999"]),
    (&["KW", "NG", "GH", "RW", "TZ", "HK", "MY", "LB"], &["112"]),
    (&["IL"], &["100", "101", "102", "112"]),
    (&["LB"], &["125", "140", "175"]),
    (&["IR"], &["110", "115", "125"]),
    (&["ZA"], &["10111", "10177", "112"]),
    (&["GH"], &["191", "192", "193"]),
    (&["NG"], &["199"]),
    (&["TZ"], &["114", "115"]),
    (&["EG"], &["122", "123", "180"]),
    (&["MA"], &["15", "19"]),
    (&["DZ"], &["14", "17"]),
    (&["TN"], &["190", "197", "198"]),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_country_of_the_table_is_one_and_every_number_may_stand_in_a_plan() {
        for (countries, numbers) in NUMBERS {
            for country in *countries {
                assert!(country.parse::<Region>().is_ok(), "{country}");
            }
            assert!(numbers.iter().all(|number| is_plausible(number)), "{numbers:?}");
        }
        for bad in ["0", "*", "1", "00", "+49301234567", "1234567", "*97", "A1"] {
            assert!(!is_plausible(bad), "{bad}");
        }
    }

    #[test]
    fn the_numbers_people_know_are_there() {
        let is = |digits: &str, country: &str| is_national(digits, country.parse().unwrap());
        for (country, numbers) in [
            ("DE", &["110", "112"][..]),
            ("KR", &["112", "119"]),
            ("GB", &["112", "999"]),
            ("SG", &["995", "999"]),
            ("AU", &["000"]),
            ("US", &["911"]),
            ("BE", &["100", "101", "112"]),
            ("ZA", &["10111", "112"]),
        ] {
            assert!(numbers.iter().all(|number| is(number, country)), "{country}");
        }
        assert!(!is("110", "US") && !is("911", "DE"));
        assert!(is_expected("911", "DE".parse().unwrap()));
    }
}
