//! The handle of one call's media: what the call's owner may ask of it.

use tokio::sync::oneshot;

use super::command::{CallKey, Command, Inbox, Message, Reply};
use crate::base::Digit;
use crate::media::{Error, Feed, LegSide, Phase, ToneItem, TrunkAudio, TrunkMedia};

/// Media of one call. Dropping it ends the media and frees its ports.
///
/// Every method may be called in any order; one that does not fit gives [`Error::OutOfOrder`].
/// The `async` ones are cancel safe: the work is done in any case, only the answer is lost.
#[derive(Debug)]
pub struct Session {
    key: CallKey,
    inbox: Inbox,
}

impl Session {
    pub(super) fn new(key: CallKey, inbox: Inbox) -> Self {
        Self { key, inbox }
    }

    /// The page offered (again): gives our answer with our candidates in it. An offer from another
    /// peer connection (a new fingerprint) replaces the peer; the trunk leg does not notice.
    pub async fn browser_offer(&self, sdp: String) -> Result<String, Error> {
        self.ask(|reply| Command::BrowserOffer { sdp, reply }).await
    }

    /// We offer to the page (a call that comes in): gives our offer with our candidates in it.
    pub async fn offer_browser(&self) -> Result<String, Error> {
        self.ask(|reply| Command::OfferBrowser { reply }).await
    }

    /// The page's answer to [`Session::offer_browser`].
    pub async fn browser_answer(&self, sdp: String) -> Result<(), Error> {
        self.ask(|reply| Command::BrowserAnswer { sdp, reply }).await
    }

    /// A candidate that the page trickled (`candidate:…`, with or without `a=`); `None` is the end
    /// of candidates. One that cannot be used is ignored: mDNS names are, the page's checks find us.
    pub fn browser_candidate(&self, candidate: Option<String>) -> Result<(), Error> {
        self.tell(Command::BrowserCandidate { candidate })
    }

    /// Opens a new RTP leg toward a trunk and gives the offer for our INVITE. A leg opened before
    /// (the trunk that failed) is closed.
    pub async fn trunk_offer(&self, media: TrunkMedia) -> Result<String, Error> {
        self.ask(|reply| Command::TrunkOffer { media, reply }).await
    }

    /// The trunk's answer to our offer, from a 183 or the 200. May come several times, with the
    /// same body or (another fork) with a new one: the last one counts.
    pub async fn trunk_answer(&self, sdp: String, phase: Phase) -> Result<TrunkAudio, Error> {
        self.ask(|reply| Command::TrunkAnswer { sdp, phase, reply }).await
    }

    /// The trunk offered: gives our answer. Opens the RTP leg, or renegotiates the open one.
    pub async fn answer_trunk(&self, sdp: String, media: TrunkMedia) -> Result<String, Error> {
        self.ask(|reply| Command::AnswerTrunk { sdp, media, reply }).await
    }

    /// Switches what the browser hears.
    pub fn feed_browser(&self, feed: Feed) -> Result<(), Error> {
        self.tell(Command::Feed(feed))
    }

    /// The call is answered: the browser hears the trunk, and lost media is watched from now on.
    pub fn connect(&self) -> Result<(), Error> {
        self.tell(Command::Connect)
    }

    /// Sends digits of our own making toward a leg, after those already queued. Toward the browser
    /// there is no such thing as a received digit (RFC 7874 leaves it without an API); they are
    /// sent as events all the same, for peers that can hear them.
    pub fn send_digits(&self, to: LegSide, digits: Vec<ToneItem>) -> Result<(), Error> {
        self.tell(Command::SendDigits { to, digits })
    }

    /// Starts a digit toward a leg that lasts until [`Session::release`].
    pub fn press(&self, to: LegSide, digit: Digit) -> Result<(), Error> {
        self.tell(Command::Press { to, digit })
    }

    /// Ends the digit started by [`Session::press`].
    pub fn release(&self, to: LegSide) -> Result<(), Error> {
        self.tell(Command::Release { to })
    }

    /// Ends the media. Idempotent; the same as dropping the session.
    pub fn close(&self) {
        self.inbox.close(self.key);
    }

    fn tell(&self, command: Command) -> Result<(), Error> {
        self.inbox.send(Message::Command { key: self.key, command })
    }

    async fn ask<T>(&self, command: impl FnOnce(Reply<T>) -> Command) -> Result<T, Error> {
        let (reply, answer) = oneshot::channel();
        self.tell(command(reply))?;
        answer.await.unwrap_or(Err(Error::Closed))
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.close();
    }
}
