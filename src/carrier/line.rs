//! The numbers of the demo carrier and what each is for.

use super::bank::Fault;
use super::prompt::Prompt;
use crate::dtmf::Mode;

/// A line that can be dialled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Line {
    /// 600: the caller hears what it says, and gets back the digits it sends, each in the way it came.
    /// 611, 612 and 613 are the same line: the demo's plan sends digits to them as RFC 4733 events, as
    /// SIP INFO and as tones.
    Echo,
    /// 601: a menu that speaks.
    Menu,
    /// 602: 1004 Hz at -16 dBm0, the milliwatt line of a laboratory.
    Tone,
    /// 603: takes digits, reads them back and sends them back.
    ReadBack,
    /// 604: rings and never answers.
    NoAnswer,
    /// 605: 486 Busy Here.
    Busy,
    /// 606: speaks before the answer, then 480.
    EarlyMedia,
    /// 607: answers, says it will call back, hangs up and does.
    CallBack,
    /// 608: clicks at every whole second of the system clock.
    Clicks,
    /// 620: a bank with a PIN; 621 to 626: the same with a fault of one kind each.
    Bank(Fault),
    /// +49 30 23125614 to 616: takes digits in every way, says nothing and sends nothing back. The demo's
    /// numbers +49 30 23125611 to 613 lead there from the carrier's own calls: from trunk to trunk.
    /// The number is their last digit.
    Listens(u8),
    /// The call that 607 makes; not to be dialled.
    Greeting,
    /// A call that presses every key once, in this way; not to be dialled.
    Presses(Mode),
}

impl Line {
    /// The line of a dialled number, `None` where there is none: 404.
    pub fn dialled(number: &str) -> Option<Line> {
        Some(match number {
            "600" | "611" | "612" | "613" => Line::Echo,
            "601" => Line::Menu,
            "602" => Line::Tone,
            "603" => Line::ReadBack,
            "604" => Line::NoAnswer,
            "605" => Line::Busy,
            "606" => Line::EarlyMedia,
            "607" => Line::CallBack,
            "608" => Line::Clicks,
            "+493023125614" => Line::Listens(4),
            "+493023125615" => Line::Listens(5),
            "+493023125616" => Line::Listens(6),
            "620" => Line::Bank(Fault::None),
            "621" => Line::Bank(Fault::WrongPrompt),
            "622" => Line::Bank(Fault::SilentBranch),
            "623" => Line::Bank(Fault::LostDigit),
            "624" => Line::Bank(Fault::DoubleDigit),
            "625" => Line::Bank(Fault::LateAnswer),
            "626" => Line::Bank(Fault::DeadEnd),
            _ => return None,
        })
    }

    /// Whether tones in its caller's sound are listened to where events were agreed on, too: who measures
    /// what the gateway sends must hear all of it.
    pub(super) fn hears_all(self) -> bool {
        matches!(self, Line::Echo | Line::Listens(_))
    }

    /// What is said before anything else.
    pub(super) fn announcement(self) -> &'static [Prompt] {
        match self {
            Line::EarlyMedia => &[Prompt::Unavailable],
            Line::CallBack => &[Prompt::CallBack],
            Line::Greeting => &[Prompt::Greeting],
            _ => &[],
        }
    }
}
