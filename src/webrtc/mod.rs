//! One str0m peer connection in RTP mode per browser, and the demultiplexer in front of them.
