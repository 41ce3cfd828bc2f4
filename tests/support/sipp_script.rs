//! sipp scenarios of a called side, step by step: what it waits for, what it answers, what it asks.

/// A scenario under construction.
pub struct Script(String);

impl Script {
    /// The called side of one call.
    pub fn callee() -> Script {
        let head = "<?xml version=\"1.0\" encoding=\"ISO-8859-1\" ?>\n<!DOCTYPE scenario SYSTEM \"sipp.dtd\">\n\
                    <scenario name=\"script\">\n<recv request=\"INVITE\" rrs=\"true\"><action>\
                    <ereg regexp=\".*\" search_in=\"hdr\" header=\"Via:\" assign_to=\"via\"/>\
                    <ereg regexp=\".*\" search_in=\"hdr\" header=\"From:\" assign_to=\"first\"/>\
                    <ereg regexp=\".*\" search_in=\"hdr\" header=\"To:\" assign_to=\"called\"/>\
                    <ereg regexp=\".*\" search_in=\"hdr\" header=\"CSeq:\" assign_to=\"cseq\"/>\
                    </action></recv>\n";
        Script(head.to_owned())
    }

    /// The same behind a proxy, whose Via is in front of the gateway's.
    pub fn callee_behind_proxy() -> Script {
        let mut script = Script::callee();
        script.0 = script.0.replacen(
            "</action>",
            "<ereg regexp=\".*\" search_in=\"hdr\" header=\"Via:\" occurrence=\"2\" assign_to=\"second\"/></action>",
            1,
        );
        script
    }

    /// The calling side of one call to this user, with further headers.
    pub fn caller(user: &str, lines: &str, sdp: &str) -> Script {
        Script::caller_with(user, lines, Some(sdp))
    }

    pub fn caller_with(user: &str, lines: &str, sdp: Option<&str>) -> Script {
        let body = body(sdp);
        Script(format!(
            "<?xml version=\"1.0\" encoding=\"ISO-8859-1\" ?>\n<!DOCTYPE scenario SYSTEM \"sipp.dtd\">\n\
             <scenario name=\"script\">\n<send retrans=\"500\"><![CDATA[\n\n\
             INVITE sip:{user}@[remote_ip]:[remote_port] SIP/2.0\n\
             Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]\n\
             From: <sip:+4940555@[local_ip]>;tag=c[call_number]\nTo: <sip:{user}@[remote_ip]>\n\
             Call-ID: [call_id]\nCSeq: 1 INVITE\nMax-Forwards: 70\n\
             Contact: <sip:[local_ip]:[local_port]>\n{lines}{body}\n]]></send>\n\
             <recv response=\"100\" optional=\"true\"></recv>\n"
        ))
    }

    /// The call is refused with this status, and that is the end.
    pub fn refused(mut self, status: u16) -> String {
        self.0 += "<recv response=\"180\" optional=\"true\"></recv>\n";
        self.0 += &format!("<recv response=\"{status}\"></recv>\n");
        self.0 += &caller_ack("[last_Via:]");
        self.0 + "</scenario>\n"
    }

    /// The call is answered and acknowledged; the ACK has the answer where the INVITE had no offer.
    pub fn accepted(self) -> Script {
        self.accepted_with(None)
    }

    pub fn accepted_with(mut self, sdp: Option<&str>) -> Script {
        let body = body(sdp);
        self.0 += "<recv response=\"180\" optional=\"true\"></recv>\n\
                   <recv response=\"200\" rrs=\"true\"></recv>\n";
        self.0 += &format!(
            "<send><![CDATA[\n\nACK [next_url] SIP/2.0\n\
             Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]\n[last_From:]\n[last_To:]\n\
             [routes]\n[last_Call-ID:]\nCSeq: 1 ACK\nMax-Forwards: 70\n{body}\n]]></send>\n"
        );
        self.0 += NAMED;
        self
    }

    /// Waits for a request whose whole text matches every one of these.
    pub fn expect(mut self, method: &str, regexps: &[&str]) -> Script {
        let checks: String = regexps
            .iter()
            .map(|regexp| {
                format!(
                    "<ereg regexp=\"{regexp}\" search_in=\"msg\" check_it=\"true\" assign_to=\"seen\"/>"
                )
            })
            .collect();
        self.0 += &format!("<recv request=\"{method}\"><action>{checks}{NAMES}</action></recv>\n");
        self
    }

    /// The same for a request that is answered later, by [`Script::confirm_kept`]; it has come through so many
    /// servers.
    pub fn expect_kept(mut self, method: &str, regexps: &[&str], servers: usize) -> Script {
        let second = "<ereg regexp=\".*\" search_in=\"hdr\" header=\"Via:\" occurrence=\"2\" assign_to=\"second\"/>";
        let second = if servers > 1 { second } else { "" };
        let kept = format!(
            "<ereg regexp=\".*\" search_in=\"hdr\" header=\"Via:\" assign_to=\"via\"/>{second}\
             <ereg regexp=\".*\" search_in=\"hdr\" header=\"CSeq:\" assign_to=\"cseq\"/></action></recv>\n"
        );
        self = self.expect(method, regexps);
        let end = self.0.rfind("</action></recv>\n").unwrap();
        self.0.replace_range(end.., &kept);
        self
    }

    /// Answers the request that was kept, after other messages.
    pub fn confirm_kept(mut self, status: &str, servers: usize) -> Script {
        let second = if servers > 1 { "Via:[$second]\n" } else { "" };
        self.0 += &format!(
            "<send><![CDATA[\n\nSIP/2.0 {status}\nVia:[$via]\n{second}From:[$from]\nTo:[$to]\n\
             Call-ID: [call_id]\nCSeq:[$cseq]\nContact: <sip:[local_ip]:[local_port]>\n\
             Content-Length: 0\n\n]]></send>\n"
        );
        self
    }

    /// The ACK of a refusal of what was asked within the dialog (RFC 3261 17.1.1.3).
    pub fn ack_refusal(mut self, cseq: u32) -> Script {
        self.0 += &format!(
            "<send><![CDATA[\n\nACK [next_url] SIP/2.0\n[last_Via:]\n[last_From:]\n[last_To:]\n\
             [last_Call-ID:]\nCSeq: {cseq} ACK\nMax-Forwards: 70\nContent-Length: 0\n\n]]></send>\n"
        );
        self
    }

    /// Waits for a request with nothing remembered of it.
    pub fn expect_only(mut self, method: &str) -> Script {
        self.0 += &format!("<recv request=\"{method}\"></recv>\n");
        self
    }

    /// Waits for the ACK of the answer.
    pub fn ack(self) -> Script {
        self.expect("ACK", &[])
    }

    /// Answers the last request; `lines` are further headers.
    pub fn answer(self, status: &str, lines: &str, sdp: Option<&str>) -> Script {
        self.answer_as("SIPpTag01", status, lines, sdp)
    }

    /// The same with another To tag, where the request has none: another fork.
    pub fn answer_as(mut self, tag: &str, status: &str, lines: &str, sdp: Option<&str>) -> Script {
        let body = body(sdp);
        let again = if status.starts_with("200") { " retrans=\"500\"" } else { "" };
        self.0 += &format!(
            "<send{again}><![CDATA[\n\nSIP/2.0 {status}\n[last_Via:]\n[last_From:]\n[last_To:];tag={tag}\n\
             [last_Call-ID:]\n[last_CSeq:]\n[last_Record-Route:]\nContact: <sip:[local_ip]:[local_port]>\n\
             Allow: INVITE, ACK, CANCEL, BYE, UPDATE, REFER, NOTIFY\n{lines}{body}\n]]></send>\n"
        );
        self
    }

    /// The final answer of the INVITE that began the call, after other requests have come.
    pub fn answer_at_last(mut self, status: &str, sdp: Option<&str>) -> Script {
        let body = body(sdp);
        self.0 += &format!(
            "<send retrans=\"500\"><![CDATA[\n\nSIP/2.0 {status}\nVia:[$via]\nVia:[$second]\nFrom:[$first]\n\
             To:[$called];tag=SIPpTag01\n[last_Call-ID:]\nCSeq:[$cseq]\n\
             Contact: <sip:[local_ip]:[local_port]>\nAllow: INVITE, ACK, CANCEL, BYE\n{body}\n]]></send>\n"
        );
        self
    }

    /// A call that was placed rings reliably: PRACK (RFC 3262), then the answer.
    pub fn rings_reliably(mut self) -> Script {
        self.0 += "<recv response=\"180\" rrs=\"true\"><action>\
                   <ereg regexp=\"[0-9]+\" search_in=\"hdr\" header=\"RSeq:\" check_it=\"true\" assign_to=\"rseq\"/>\
                   </action></recv>\n\
                   <send retrans=\"500\"><![CDATA[\n\nPRACK [next_url] SIP/2.0\n\
                   Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]\n[last_From:]\n[last_To:]\n\
                   [routes]\n[last_Call-ID:]\nCSeq: 2 PRACK\nRAck: [$rseq] 1 INVITE\nMax-Forwards: 70\n\
                   Content-Length: 0\n\n]]></send>\n<recv response=\"200\"></recv>\n";
        self
    }

    /// Answers a request within the dialog, whose To has a tag.
    pub fn confirm(mut self, status: &str, lines: &str, sdp: Option<&str>) -> Script {
        let body = body(sdp);
        self.0 += &format!(
            "<send><![CDATA[\n\nSIP/2.0 {status}\n[last_Via:]\n[last_From:]\n[last_To:]\n[last_Call-ID:]\n\
             [last_CSeq:]\nContact: <sip:[local_ip]:[local_port]>\n{lines}{body}\n]]></send>\n"
        );
        self
    }

    /// Asks something within the dialog; the names are those of the last request that was expected.
    pub fn ask(mut self, method: &str, cseq: u32, lines: &str, sdp: Option<&str>) -> Script {
        let again = if method == "ACK" { "" } else { " retrans=\"500\"" };
        let body = body(sdp);
        self.0 += &format!(
            "<send{again}><![CDATA[\n\n{method} [next_url] SIP/2.0\n\
             Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]\nFrom:[$to]\nTo:[$from]\n\
             Call-ID: [call_id]\nCSeq: {cseq} {method}\n[routes]\nMax-Forwards: 70\n\
             Contact: <sip:[local_ip]:[local_port]>\n{lines}{body}\n]]></send>\n"
        );
        self
    }

    /// The same with headers and a body of any kind, `Content-Type` and `Content-Length` among them.
    pub fn ask_with(mut self, method: &str, cseq: u32, rest: &str) -> Script {
        self.0 += &format!(
            "<send retrans=\"500\"><![CDATA[\n\n{method} [next_url] SIP/2.0\n\
             Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]\nFrom:[$to]\nTo:[$from]\n\
             Call-ID: [call_id]\nCSeq: {cseq} {method}\n[routes]\nMax-Forwards: 70\n\
             Contact: <sip:[local_ip]:[local_port]>\n{rest}\n]]></send>\n"
        );
        self
    }

    /// Waits for a response that matches.
    pub fn response(mut self, status: u16, regexps: &[&str]) -> Script {
        let checks: String = regexps
            .iter()
            .map(|regexp| {
                format!(
                    "<ereg regexp=\"{regexp}\" search_in=\"msg\" check_it=\"true\" assign_to=\"seen\"/>"
                )
            })
            .collect();
        self.0 += "<recv response=\"100\" optional=\"true\"></recv>\n";
        self.0 +=
            &format!("<recv response=\"{status}\"><action>{checks}{NOTHING}</action></recv>\n");
        self
    }

    /// Waits for the gateway's BYE and ends.
    pub fn until_bye(self) -> String {
        self.expect("BYE", &[]).confirm("200 OK", "", None).end()
    }

    /// Nothing happens for so long: how a peer that says nothing is played.
    pub fn silent(mut self, ms: u32) -> Script {
        self.0 += &format!("<pause milliseconds=\"{ms}\"/>\n");
        self
    }

    /// Ends.
    pub fn end(self) -> String {
        format!(
            "{}<Reference variables=\"seen,from,to,via,first,called,cseq\"/>\n</scenario>\n",
            self.0
        )
    }
}

/// An SDP of one stream: payload types, port and attributes.
pub fn sdp(version: u32, port: &str, formats: &str, lines: &str) -> String {
    format!(
        "v=0\no=sipp 1 {version} IN IP4 [local_ip]\ns=-\nc=IN IP4 [media_ip]\nt=0 0\n\
         m=audio {port} RTP/AVP {formats}\n{lines}"
    )
}

/// The plain one: mu-law at its own port.
pub fn plain(version: u32) -> String {
    sdp(version, "[media_port]", "0", "a=rtpmap:0 PCMU/8000\na=sendrecv\n")
}

fn caller_ack(via: &str) -> String {
    format!(
        "<send><![CDATA[\n\nACK sip:gateway@[remote_ip]:[remote_port] SIP/2.0\n{via}\n[last_From:]\n\
     [last_To:]\n[last_Call-ID:]\nCSeq: 1 ACK\nMax-Forwards: 70\nContent-Length: 0\n\n]]></send>\n"
    )
}

fn body(sdp: Option<&str>) -> String {
    match sdp {
        Some(sdp) => format!("Content-Type: application/sdp\nContent-Length: [len]\n\n{sdp}"),
        None => "Content-Length: 0\n".to_owned(),
    }
}

const NAMES: &str = "<ereg regexp=\".*\" search_in=\"hdr\" header=\"From:\" assign_to=\"from\"/>\
    <ereg regexp=\".*\" search_in=\"hdr\" header=\"To:\" assign_to=\"to\"/>\
    <ereg regexp=\".\" search_in=\"msg\" assign_to=\"seen\"/>";
/// Nothing is to be remembered of a call that was placed; the names must be used somewhere.
const NAMED: &str = "<nop><action><assignstr assign_to=\"via\" value=\"\"/>\
    <assignstr assign_to=\"first\" value=\"\"/><assignstr assign_to=\"called\" value=\"\"/>\
    <assignstr assign_to=\"cseq\" value=\"\"/></action></nop>\n";
const NOTHING: &str = "<ereg regexp=\".\" search_in=\"msg\" assign_to=\"seen\"/>";
