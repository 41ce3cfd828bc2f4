//! A WebRTC client in its own right that places real calls and measures them.
