//! The handle of one call's media: what the call's owner may ask of it.

use std::sync::Arc;

use tokio::sync::oneshot;

use super::command::{CallKey, Command, Inbox, Message, Reply};
use crate::base::Digit;
use crate::codec::Prompt;
use crate::dtmf::{DigitEvent, InfoSupport, ToneItem};
use crate::media::{
    BrowserCodec, Error, Feed, Hold, LegSide, Line, Phase, Recorder, TrunkAudio, TrunkMedia,
};

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
    pub(in crate::media) fn new(key: CallKey, inbox: Inbox) -> Self {
        Self { key, inbox }
    }

    /// The codec to take where the page offers it, in the place of Opus; before its offer.
    pub fn prefer(&self, codec: BrowserCodec) -> Result<(), Error> {
        self.tell(Command::Prefer(codec))
    }

    /// The page offered (again): gives our answer with our candidates in it. An offer from another
    /// peer connection (a new fingerprint) replaces the peer; the trunk leg does not notice.
    pub async fn browser_offer(&self, sdp: String) -> Result<String, Error> {
        self.ask(|reply| Command::BrowserOffer { sdp, reply }).await
    }

    /// The page offers new ICE credentials for the peer connection that it has (RFC 8445 9); one
    /// from another peer connection is [`Error::OutOfOrder`].
    pub async fn browser_restart(&self, sdp: String) -> Result<String, Error> {
        self.ask(|reply| Command::BrowserRestart { sdp, reply }).await
    }

    /// We offer new ICE credentials for the peer connection; the page's answer goes to
    /// [`Session::browser_answer`]. An offer of the page that crosses it takes its place.
    pub async fn restart_offer(&self) -> Result<String, Error> {
        self.ask(|reply| Command::RestartOffer { reply }).await
    }

    /// We offer to the page (a call that comes in): gives our offer with our candidates in it.
    pub async fn offer_browser(&self) -> Result<String, Error> {
        self.ask(|reply| Command::OfferBrowser { reply }).await
    }

    /// The page's answer to [`Session::offer_browser`].
    pub async fn browser_answer(&self, sdp: String) -> Result<(), Error> {
        self.ask(|reply| Command::BrowserAnswer { sdp, reply }).await
    }

    /// A text for the page's data channel `crosspoint`; where it has opened none, it is dropped.
    pub fn say(&self, text: String) -> Result<(), Error> {
        self.tell(Command::Say { text })
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

    /// Our offer on the open RTP leg: with a changed hold, or as things are (the trunk asks for one).
    /// The hold has its effect at once; the answer goes to [`Session::trunk_answer`].
    pub async fn reoffer_trunk(&self, hold: Hold) -> Result<String, Error> {
        self.ask(|reply| Command::ReofferTrunk { hold, reply }).await
    }

    /// The trunk refused that offer: what was agreed before holds.
    pub fn withdraw_trunk_offer(&self) -> Result<(), Error> {
        self.tell(Command::WithdrawTrunkOffer)
    }

    /// The trunk offered: gives our answer. Opens the RTP leg, or renegotiates the open one.
    pub async fn answer_trunk(&self, sdp: String, media: TrunkMedia) -> Result<String, Error> {
        self.ask(|reply| Command::AnswerTrunk { sdp, media, reply }).await
    }

    /// Puts the trunk's leg aside: another one may be opened in its place (a transfer), and
    /// [`Session::restore_trunk`] takes the old one back as it was.
    pub fn park_trunk(&self) -> Result<(), Error> {
        self.tell(Command::ParkTrunk)
    }

    /// Takes back the leg that was put aside; the one opened in its place is closed.
    pub async fn restore_trunk(&self) -> Result<(), Error> {
        self.ask(|reply| Command::RestoreTrunk { reply }).await
    }

    /// The leg that was put aside is not wanted any more.
    pub fn forget_parked_trunk(&self) -> Result<(), Error> {
        self.tell(Command::ForgetParked)
    }

    /// Switches what the browser hears.
    pub fn feed_browser(&self, feed: Feed) -> Result<(), Error> {
        self.tell(Command::Feed(feed))
    }

    /// The call is answered: the browser hears the trunk, and lost media is watched from now on.
    pub fn connect(&self) -> Result<(), Error> {
        self.tell(Command::Connect)
    }

    /// The session's one leg talks to a line from now on: what it says goes to the leg, digits of the
    /// leg go to it. A line that was there before is dropped.
    pub fn serve(&self, line: Box<dyn Line>) -> Result<(), Error> {
        self.tell(Command::Serve(line))
    }

    /// Both sides are recorded from now on; a recorder that was there before is dropped. While there is
    /// one, packets are not passed on as they are.
    pub fn record(&self, recorder: Box<dyn Recorder>) -> Result<(), Error> {
        self.tell(Command::Record(Some(recorder)))
    }

    /// Nothing is recorded any more.
    pub fn stop_recording(&self) -> Result<(), Error> {
        self.tell(Command::Record(None))
    }

    /// Each leg of an answered call hears this in the place of the other side, for as long as it is;
    /// `None` ends it.
    pub fn play(&self, sound: Option<Arc<Prompt>>) -> Result<(), Error> {
        self.tell(Command::Play(sound))
    }

    /// Sends digits of known length toward a leg, after those already queued, with its own pacing
    /// and in the mode that is in force; before the trunk's first answer they wait for it. A
    /// `MediaEvent::DigitSent` follows each; a `MediaEvent::DigitsUnavailable` says that the plan of
    /// the leg has no way for them and that none was taken. Where they go as SIP INFO, a
    /// `MediaEvent::InfoWanted` asks for each. A page has no way to hear them (RFC 7874): toward
    /// [`LegSide::Browser`] they are for other peers.
    pub fn send_digits(&self, to: LegSide, digits: Vec<ToneItem>) -> Result<(), Error> {
        self.tell(Command::SendDigits { to, digits })
    }

    /// Forgets the digits that wait toward a leg and ends the one that is on.
    pub fn cancel_digits(&self, to: LegSide) -> Result<(), Error> {
        self.tell(Command::CancelDigits { to })
    }

    /// A key goes down and stays down until [`Session::release`]. Toward the trunk it is a digit of
    /// the page's leg (its JSON message) like one that comes as a telephone event: told as a
    /// `MediaEvent::Digit` of mode `Client` and sent on. Toward the page there is no such thing.
    pub fn press(&self, to: LegSide, digit: Digit) -> Result<(), Error> {
        self.tell(Command::Press { to, digit })
    }

    /// The key comes up.
    pub fn release(&self, to: LegSide) -> Result<(), Error> {
        self.tell(Command::Release { to })
    }

    /// What the `Allow` of the trunk's peer says of INFO: to be told before the SDP that came with
    /// it, since the plan for digits is made with each offer and answer.
    pub fn peer_info(&self, info: InfoSupport) -> Result<(), Error> {
        self.tell(Command::PeerInfo(info))
    }

    /// The final response to the INFO of a `MediaEvent::InfoWanted`: its status, or 408 and 503
    /// where none can come. After five seconds it is taken for 408.
    pub fn info_done(&self, request: u64, status: u16) -> Result<(), Error> {
        self.tell(Command::InfoDone { request, status })
    }

    /// A digit that a leg sent another way than as RTP (SIP INFO): the leg's arbiter makes one of
    /// it and of the same key as a telephone event, and tells it as a `MediaEvent::Digit`.
    pub fn report_digit(&self, from: LegSide, event: DigitEvent) -> Result<(), Error> {
        self.tell(Command::ReportDigit { from, event })
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
