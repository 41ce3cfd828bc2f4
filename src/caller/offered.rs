//! What an answer offers, in words: for a call whose sound this telephone does not speak. Pure.

/// The codecs of the first audio of an SDP, by name where it or RFC 3551 has one.
pub(super) fn offered(body: Option<&[u8]>) -> String {
    let Some(body) = body.filter(|body| !body.is_empty()) else {
        return "it has no SDP".to_owned();
    };
    let text = String::from_utf8_lossy(body);
    let Some(audio) = text.lines().find_map(|line| line.strip_prefix("m=audio ")) else {
        return "it has no audio".to_owned();
    };
    let name = |payload: &str| {
        let map = text.lines().find_map(|line| {
            let (number, name) = line.strip_prefix("a=rtpmap:")?.split_once(' ')?;
            (number == payload).then(|| name.trim().to_owned())
        });
        let known = |(_, name): &(&str, &str)| (*name).to_owned();
        map.or_else(|| STATIC.iter().find(|(number, _)| *number == payload).map(known))
            .unwrap_or_else(|| format!("payload type {payload}"))
    };
    let names: Vec<String> = audio.split_whitespace().skip(2).take(MOST).map(name).collect();
    match names.is_empty() {
        true => "it names no codec".to_owned(),
        false => format!("it offers {}", names.join(", ")),
    }
}

/// RFC 3551 table 4.
const STATIC: [(&str, &str); 7] = [
    ("0", "PCMU/8000"),
    ("3", "GSM/8000"),
    ("4", "G723/8000"),
    ("8", "PCMA/8000"),
    ("9", "G722/8000"),
    ("15", "G728/8000"),
    ("18", "G729/8000"),
];
/// A sentence is no list of everything.
const MOST: usize = 8;

#[cfg(test)]
mod tests {
    use super::offered;

    #[test]
    fn an_answer_without_sound_of_ours_is_told_by_what_it_has() {
        let sdp = |audio: &str| format!("v=0\r\nc=IN IP4 127.0.0.1\r\n{audio}");
        let words = |audio: &str| offered(Some(sdp(audio).as_bytes()));
        assert_eq!(offered(None), "it has no SDP");
        assert_eq!(words(""), "it has no audio");
        assert_eq!(words("m=audio 4000 RTP/AVP 18\r\n"), "it offers G729/8000");
        let opus = "m=audio 4000 RTP/AVP 111 99\r\na=rtpmap:111 opus/48000/2\r\n";
        assert_eq!(words(opus), "it offers opus/48000/2, payload type 99");
    }
}
