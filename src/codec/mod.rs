//! Audio codecs and signals: G.711, Opus, resampling, concealment, tones.
