//! A sound for everybody in a call, as the operator wants.

use std::sync::Arc;

use super::legs::Callee;
use super::machine::CallTask;
use crate::codec::Prompt;

impl CallTask {
    /// Both sides hear it in the place of each other; `None` ends it. A call that is not answered hears
    /// nothing of it.
    pub(super) fn play(&mut self, sound: Option<&Arc<Prompt>>) {
        tracing::info!(call.id = %self.id, on = sound.is_some(), "announcement");
        let callees = self.callees.iter().filter_map(|callee| match callee {
            Callee::Page(page) => Some(&page.media),
            Callee::Line(line) => line.media.as_ref(),
            Callee::Trunk(_) | Callee::Nothing => None,
        });
        for media in self.media.iter().chain(callees) {
            self.media_command(media.play(sound.cloned()));
        }
    }
}
