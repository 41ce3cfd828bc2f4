//! Ringback tones by country, as ITU-T E.180 supplement 2 lists them.

use super::tone::{Cadence, Step, Tone};

/// The ringback of an ISO 3166 country code (`"DE"`, `"us"`), from its start. A country that is
/// not listed gets the 425 Hz, 1 s in 5 s that most of the world has.
pub fn ringback(country: &str) -> Cadence {
    let upper = country.to_ascii_uppercase();
    let (_, frequencies, cadence) =
        RINGBACK.iter().find(|(c, ..)| c.contains(&upper.as_str())).unwrap_or(&ELSEWHERE);
    // Each tone of a pair is 3 dB lower, so that both are as loud as one.
    let dbm0 = LEVEL_DBM0 - 3.0 * (frequencies.len() as f64 - 1.0);
    let tones: Vec<Tone> =
        frequencies.iter().map(|frequency| Tone { frequency: *frequency, dbm0 }).collect();
    let steps: Vec<Step> = cadence
        .iter()
        .enumerate()
        .map(|(i, ms)| Step { tones: if i % 2 == 0 { tones.clone() } else { vec![] }, ms: *ms })
        .collect();
    Cadence::new(&steps)
}

type Ringback = (&'static [&'static str], &'static [f64], &'static [u32]);

/// Countries, frequencies in Hz, then on and off in milliseconds.
const RINGBACK: &[Ringback] = &[
    (&["US", "CA"], &[440.0, 480.0], &[2000, 4000]),
    (&["GB", "IE", "NZ"], &[400.0, 450.0], &[400, 200, 400, 2000]),
    (&["AU"], &[400.0, 425.0], &[400, 200, 400, 2000]),
    (&["DE", "AT", "ES", "DK", "NO", "PL"], &[425.0], &[1000, 4000]),
    (&["FR"], &[440.0], &[1500, 3500]),
    (&["CH", "IT", "NL"], &[425.0], &[1000, 4000]),
    (&["SE"], &[425.0], &[1000, 5000]),
    (&["JP"], &[400.0], &[1000, 2000]),
];

const ELSEWHERE: Ringback = (&[], &[425.0], &[1000, 4000]);

/// Within E.180's range of -15 to -10 dBm0 at the exchange, toward its quiet end.
const LEVEL_DBM0: f64 = -13.0;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::{goertzel_dbm0, level_dbm0};

    #[test]
    fn each_country_hears_its_own_tone_and_cadence() {
        let cases: [(&str, &[f64], &[usize]); 4] = [
            ("DE", &[425.0], &[1000, 4000]),
            ("us", &[440.0, 480.0], &[2000, 4000]),
            ("GB", &[400.0, 450.0], &[400, 200, 400, 2000]),
            ("ZZ", &[425.0], &[1000, 4000]),
        ];
        for (country, frequencies, steps) in cases {
            let mut cadence = ringback(country);
            for round in 0..2 {
                for (i, ms) in steps.iter().enumerate() {
                    let mut pcm = vec![0; ms * 8];
                    cadence.fill(&mut pcm);
                    if i % 2 == 1 {
                        assert_eq!(level_dbm0(&pcm), -100.0, "{country} round {round} step {i}");
                        continue;
                    }
                    let level = level_dbm0(&pcm);
                    assert!((level + 13.0).abs() < 0.2, "{country} {level}");
                    for f in frequencies {
                        assert!(goertzel_dbm0(&pcm, *f) > -17.0, "{country} {f}");
                    }
                }
            }
        }
    }
}
