//! What the carrier says: WAV files in `prompts/`, made by `tools/make-prompts.sh`, decoded once.

use crate::base::Digit;
use crate::codec::{PromptError, read_wav};

/// One thing to say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Prompt {
    /// The name of a key.
    Key(Digit),
    /// What can be chosen on 601.
    Menu,
    /// Where the caller is.
    About,
    /// "You pressed".
    Pressed,
    /// The key has no meaning here.
    Invalid,
    /// The last words.
    Goodbye,
    /// 603's request.
    EnterDigits,
    /// 603 got none.
    NoDigits,
    /// 606's early words.
    Unavailable,
    /// 607's promise.
    CallBack,
    /// The first words of the call that 607 makes.
    Greeting,
    /// The bank's first words.
    BankPin,
    /// Not the PIN.
    BankWrongPin,
    /// What the bank does.
    BankMain,
    /// How much there is.
    BankBalance,
    /// Bad news.
    BankBlocked,
    /// How much is to go.
    BankAmount,
    /// It goes.
    BankThanks,
    /// The bank's queue.
    BankHold,
}

/// All prompts as PCM.
#[derive(Debug)]
pub(super) struct Prompts {
    sounds: Vec<Vec<i16>>,
}

impl Prompts {
    /// Decodes the files.
    ///
    /// # Errors
    /// [`PromptError`] when a file in this binary is no WAV file: our fault.
    pub fn load() -> Result<Prompts, PromptError> {
        let sounds = FILES.iter().map(|file| read_wav(file)).collect::<Result<_, _>>()?;
        Ok(Prompts { sounds })
    }

    /// Samples at 8 kHz.
    pub fn pcm(&self, prompt: Prompt) -> &[i16] {
        let index = match prompt {
            Prompt::Key(digit) => usize::from(digit.event()),
            Prompt::Menu => 16,
            Prompt::About => 17,
            Prompt::Pressed => 18,
            Prompt::Invalid => 19,
            Prompt::Goodbye => 20,
            Prompt::EnterDigits => 21,
            Prompt::NoDigits => 22,
            Prompt::Unavailable => 23,
            Prompt::CallBack => 24,
            Prompt::Greeting => 25,
            Prompt::BankPin => 26,
            Prompt::BankWrongPin => 27,
            Prompt::BankMain => 28,
            Prompt::BankBalance => 29,
            Prompt::BankBlocked => 30,
            Prompt::BankAmount => 31,
            Prompt::BankThanks => 32,
            Prompt::BankHold => 33,
        };
        self.sounds.get(index).map_or(&[], Vec::as_slice)
    }
}

/// In the order of `Prompts::pcm`: keys by their RFC 4733 event codes, then the words.
const FILES: [&[u8]; 34] = [
    include_bytes!("prompts/digit-0.wav"),
    include_bytes!("prompts/digit-1.wav"),
    include_bytes!("prompts/digit-2.wav"),
    include_bytes!("prompts/digit-3.wav"),
    include_bytes!("prompts/digit-4.wav"),
    include_bytes!("prompts/digit-5.wav"),
    include_bytes!("prompts/digit-6.wav"),
    include_bytes!("prompts/digit-7.wav"),
    include_bytes!("prompts/digit-8.wav"),
    include_bytes!("prompts/digit-9.wav"),
    include_bytes!("prompts/digit-star.wav"),
    include_bytes!("prompts/digit-pound.wav"),
    include_bytes!("prompts/digit-a.wav"),
    include_bytes!("prompts/digit-b.wav"),
    include_bytes!("prompts/digit-c.wav"),
    include_bytes!("prompts/digit-d.wav"),
    include_bytes!("prompts/menu.wav"),
    include_bytes!("prompts/about.wav"),
    include_bytes!("prompts/pressed.wav"),
    include_bytes!("prompts/invalid.wav"),
    include_bytes!("prompts/goodbye.wav"),
    include_bytes!("prompts/enter-digits.wav"),
    include_bytes!("prompts/no-digits.wav"),
    include_bytes!("prompts/unavailable.wav"),
    include_bytes!("prompts/call-back.wav"),
    include_bytes!("prompts/greeting.wav"),
    include_bytes!("prompts/bank-pin.wav"),
    include_bytes!("prompts/bank-wrong-pin.wav"),
    include_bytes!("prompts/bank-main.wav"),
    include_bytes!("prompts/bank-balance.wav"),
    include_bytes!("prompts/bank-blocked.wav"),
    include_bytes!("prompts/bank-amount.wav"),
    include_bytes!("prompts/bank-thanks.wav"),
    include_bytes!("prompts/bank-hold.wav"),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::level_dbm0;

    #[test]
    fn every_prompt_is_speech_of_about_minus_16_dbm0() {
        let prompts = Prompts::load().unwrap();
        for (index, sound) in prompts.sounds.iter().enumerate() {
            assert!(sound.len() > 2000, "{index} is {} samples", sound.len());
            let level = level_dbm0(sound);
            assert!((-18.0..-15.0).contains(&level), "{index}: {level:.1} dBm0");
            assert!(sound.iter().all(|s| s.unsigned_abs() < 32_000), "{index} is clipped");
        }
    }
}
