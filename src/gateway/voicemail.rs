//! Messages that callers leave: a WAV file and a JSON file each, in a folder a mailbox.
//!
//! Written by one task; the files are whole or not there (a rename). What is listed is what is there.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

use super::Inner;
use crate::base::CallId;
use crate::ivr::{Recording, mono_wav_at};
use crate::signaling::Event;

/// A message as the API shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct VoicemailView {
    /// `vm_…`
    pub id: String,
    /// The mailbox's name in the plan.
    pub mailbox: String,
    /// The call that left it.
    pub call: CallId,
    /// Who called, where a number was shown.
    pub from: Option<String>,
    /// When it was left (RFC 3339 UTC).
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// Its length.
    pub duration_ms: u64,
}

/// A message that was just left.
#[derive(Debug)]
pub(super) struct Left {
    pub recording: Recording,
    pub call: CallId,
    pub from: Option<String>,
}

/// The mailboxes of a gateway.
#[derive(Debug)]
pub(super) struct Voicemails {
    folder: PathBuf,
    sender: mpsc::Sender<Left>,
}

impl Voicemails {
    /// Mailboxes in a folder, and what [`run`] reads.
    pub fn new(folder: PathBuf) -> (Arc<Voicemails>, mpsc::Receiver<Left>) {
        let (sender, receiver) = mpsc::channel(WAITING);
        (Arc::new(Voicemails { folder, sender }), receiver)
    }

    /// Takes a message, never waiting.
    pub fn leave(&self, left: Left) {
        if self.sender.try_send(left).is_err() {
            tracing::error!("a message was lost: too many are waiting for the disk");
        }
    }

    /// All messages, the newest first. Reads the disk.
    pub fn list(&self) -> Vec<VoicemailView> {
        let Ok(mailboxes) = fs::read_dir(&self.folder) else { return Vec::new() };
        let files = mailboxes.flatten().filter_map(|entry| fs::read_dir(entry.path()).ok());
        let mut all: Vec<VoicemailView> = files
            .flat_map(|files| files.flatten())
            .filter(|file| file.path().extension().is_some_and(|end| end == "json"))
            .filter_map(|file| serde_json::from_slice(&fs::read(file.path()).ok()?).ok())
            .collect();
        all.sort_by(|a, b| (b.at, &b.id).cmp(&(a.at, &a.id)));
        all
    }

    /// The WAV file of a message; `None` where there is none. Reads the disk.
    pub fn sound(&self, id: &str) -> Option<Vec<u8>> {
        fs::read(self.path(&self.find(id)?, "wav")).ok()
    }

    /// Takes a message away; `false` where there is none.
    ///
    /// # Errors
    /// The system's, where its files cannot be removed.
    pub fn remove(&self, id: &str) -> io::Result<bool> {
        let Some(found) = self.find(id) else { return Ok(false) };
        // Without its description it is listed no more.
        fs::remove_file(self.path(&found, "json"))?;
        fs::remove_file(self.path(&found, "wav"))?;
        Ok(true)
    }

    fn find(&self, id: &str) -> Option<VoicemailView> {
        self.list().into_iter().find(|message| message.id == id)
    }

    fn path(&self, message: &VoicemailView, end: &str) -> PathBuf {
        self.folder.join(file_name(&message.mailbox)).join(format!("{}.{end}", message.id))
    }

    fn keep(&self, left: &Left) -> io::Result<VoicemailView> {
        let (pcm, rate) = (&left.recording.pcm, left.recording.rate);
        let message = VoicemailView {
            id: left.call.to_string().replacen("call_", "vm_", 1),
            mailbox: left.recording.mailbox.clone(),
            call: left.call,
            from: left.from.clone(),
            at: Timestamp::now(),
            duration_ms: pcm.len() as u64 * 1000 / u64::from(rate.hz()),
        };
        let wav = mono_wav_at(pcm, rate).ok_or(io::ErrorKind::InvalidData)?;
        let wav_path = self.path(&message, "wav");
        if let Some(folder) = wav_path.parent() {
            fs::create_dir_all(folder)?;
        }
        write_whole(&wav_path, &wav)?;
        write_whole(&self.path(&message, "json"), &serde_json::to_vec_pretty(&message)?)?;
        Ok(message)
    }
}

/// Writes messages and tells pages of them, until the gateway ends.
pub(super) async fn run(gateway: Weak<Inner>, mut left: mpsc::Receiver<Left>) {
    // Cancellation safe: `recv` loses nothing.
    while let Some(message) = left.recv().await {
        let Some(gateway) = gateway.upgrade() else { return };
        let mailboxes = gateway.voicemails.clone();
        let kept = tokio::task::spawn_blocking(move || {
            let kept = mailboxes.keep(&message)?;
            let mailbox = kept.mailbox.clone();
            let waiting = mailboxes.list().iter().filter(|m| m.mailbox == mailbox).count();
            Ok::<_, io::Error>((kept, waiting))
        });
        match kept.await {
            Ok(Ok((message, waiting))) => tell(&gateway, &message, waiting),
            Ok(Err(error)) => tracing::error!(%error, "a message could not be kept"),
            Err(_) => tracing::error!("a fault while a message was kept"),
        }
    }
}

/// Tells the pages of those whom the plan names.
fn tell(gateway: &Inner, message: &VoicemailView, waiting: usize) {
    let (id, duration_ms) = (&message.id, message.duration_ms);
    tracing::info!(call.id = %message.call, %id, mailbox = %message.mailbox, duration_ms, "message left");
    let in_force = gateway.plans.in_force();
    let Some(mailbox) = in_force.plan.voicemail(&message.mailbox) else { return };
    for page in gateway.registry.pages() {
        if mailbox.notify.contains(&page.claims.sub) {
            page.page.event(Event::VoicemailWaiting {
                mailbox: message.mailbox.clone(),
                voicemail: message.id.clone(),
                waiting: waiting as u64,
                duration_ms: message.duration_ms,
            });
        }
    }
}

/// A mailbox's name as a folder's: nothing in it leads elsewhere.
fn file_name(mailbox: &str) -> String {
    mailbox.chars().map(|c| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' }).collect()
}

fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let fresh = path.with_extension("new");
    fs::write(&fresh, bytes)?;
    fs::File::open(&fresh)?.sync_all()?;
    fs::rename(&fresh, path)
}

/// Messages that wait for the disk.
const WAITING: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ivr::StoppedBy;

    #[test]
    fn a_message_is_kept_listed_heard_and_taken_away() {
        let folder = tempfile::tempdir().unwrap();
        let (voicemails, _left) = Voicemails::new(folder.path().join("mail"));
        assert_eq!(voicemails.list(), []);
        let recording = Recording {
            mailbox: "../reception".to_owned(),
            pcm: vec![100; 16_000],
            rate: crate::codec::Rate::Narrow,
            stopped_by: StoppedBy::Digit,
        };
        let call = CallId::from_parts(1, 2);
        let from = Some("+4930123456".to_owned());
        let kept = voicemails.keep(&Left { recording, call, from }).unwrap();
        assert!(kept.id.starts_with("vm_"), "{}", kept.id);
        assert_eq!(voicemails.list(), std::slice::from_ref(&kept));
        assert_eq!(kept.duration_ms, 2000);
        let pcm = crate::codec::read_wav(&voicemails.sound(&kept.id).unwrap()).unwrap();
        assert_eq!(pcm, vec![100; 16_000]);
        // Nothing is outside the folder.
        assert!(folder.path().join("mail/___reception").is_dir());
        assert!(voicemails.remove(&kept.id).unwrap());
        assert!(!voicemails.remove(&kept.id).unwrap());
        assert_eq!(voicemails.sound(&kept.id), None);
        assert_eq!(voicemails.list(), []);
    }
}
