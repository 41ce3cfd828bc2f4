//! Emergency numbers that everybody expects to work, known without any plan.
//!
//! A plan that provides emergency calls names its own numbers. This table serves the plans that say
//! `emergency = "not-provided"`: there these numbers are refused in words, never routed and never
//! taken for an extension.

use super::number::Region;

/// Whether somebody in `country` would expect `digits` to reach help.
///
/// 112 and 911 count everywhere (3GPP TS 22.101 section 10.1.1).
pub(super) fn is_expected(digits: &str, country: Region) -> bool {
    if matches!(digits, "112" | "911") {
        return true;
    }
    let national: &[&str] = match country.as_str() {
        "DE" => &["110"],
        "GB" | "IE" | "PL" | "AE" | "SG" | "MY" | "HK" | "KE" | "GH" => &["999"],
        "AT" => &["122", "133", "144"],
        "CH" | "LI" => &["117", "118", "144"],
        "FR" => &["15", "17", "18", "114"],
        "IT" => &["113", "115", "118"],
        "ES" => &["061", "091"],
        "US" | "CA" => &["933"],
        "AU" => &["000"],
        "NZ" => &["111"],
        "JP" => &["110", "119"],
        "CN" => &["110", "119", "120"],
        "IN" => &["100", "101", "102", "108"],
        "BR" => &["190", "192", "193"],
        "ZA" => &["10111", "10177"],
        _ => &[],
    };
    national.contains(&digits)
}
