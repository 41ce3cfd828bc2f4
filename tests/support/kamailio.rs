//! kamailio as the carrier's proxy and registrar: digest on REGISTER, lookup, record-routing.

use std::fs;
use std::process::Command;
use std::time::Duration;

use super::certificates::Authority;
use super::process::Process;
use super::{TempDir, free_port};

pub struct Kamailio {
    pub port: u16,
    /// Where it listens for TLS, with the certificate `proxy` of its authority.
    pub tls_port: Option<u16>,
    pub process: Process,
    _dir: TempDir,
}

/// What a carrier's proxy does besides carrying calls to a phone on.
#[derive(Debug, Clone, Copy, Default)]
pub struct Ways {
    /// The first branch of each call goes where nobody is, and fails.
    pub dead_branch: bool,
    /// The first ACK of each call is lost on its way to the phone.
    pub lose_ack: bool,
    /// The first 200 of each INVITE is lost on its way back.
    pub lose_answer: bool,
    /// What it says of the session's timer in the phone's stead.
    pub session: Option<&'static str>,
}

impl Kamailio {
    /// The same as a proxy in front of the phone at `phone`: it asks the gateway for the password
    /// `secret` of its INVITEs, writes itself into the route of every dialog, and carries calls to
    /// +493023125600 to the user `acct`, who registers.
    pub fn proxy(phone: u16, ways: Ways) -> Kamailio {
        Kamailio::proxy_with(phone, ways, None)
    }

    /// The same that listens for TLS as well.
    pub fn proxy_by_tls(phone: u16, authority: &Authority) -> Kamailio {
        Kamailio::proxy_with(phone, Ways::default(), Some(authority))
    }

    fn proxy_with(phone: u16, ways: Ways, authority: Option<&Authority>) -> Kamailio {
        let dead = super::free_port();
        let first = match ways.dead_branch {
            true => format!(
                "$du = \"sip:127.0.0.1:{dead}\";\n t_on_failure(\"NEXT\");\n t_set_fr(0, 500);"
            ),
            false => format!("$du = \"sip:127.0.0.1:{phone}\";"),
        };
        let lose_ack = match ways.lose_ack {
            true => "if (is_method(\"ACK\")) { if ($shv(acks) != 0) { xlog(\"L_ERR\", \"ACK PASSED\\n\"); } }
        if (is_method(\"ACK\") && $shv(acks) == 0) { $shv(acks) = 1; xlog(\"L_ERR\", \"ACK LOST\\n\"); exit; }",
            false => "",
        };
        let lose_answer = match ways.lose_answer {
            true => {
                "if (status =~ \"200\" && $rm == \"INVITE\" && $shv(answers) == 0) { $shv(answers) = 1; xlog(\"L_ERR\", \"ANSWER LOST\\n\"); drop; }"
            }
            false => "",
        };
        let session = ways.session.map_or(String::new(), |session| {
            format!(
                "if (status =~ \"200\" && ($rm == \"INVITE\" || $rm == \"UPDATE\")) {{\n\
                 if ($shv(answered) == 1) {{ xlog(\"L_ERR\", \"REFRESHED $rm $rs\\n\"); }}\n\
                 $shv(answered) = 1; remove_hf(\"Session-Expires\");\n\
                 append_hf(\"Session-Expires: {session}\\r\\n\");\n}}"
            )
        });
        let calls = format!(
            r#"
    if ($rU == "+493023125600") {{
        append_hf("P-Called-Party-ID: <sip:+493023125600@127.0.0.1>\r\n");
        $rU = "acct";
        record_route();
        if (!lookup("location")) {{ sl_send_reply("404", "Not Found"); exit; }}
        t_relay();
        exit;
    }}
    if (!pv_proxy_authenticate("127.0.0.1", "secret", "0")) {{
        proxy_challenge("127.0.0.1", "1");
        exit;
    }}
    consume_credentials();
    record_route();
    {first}
    t_relay();
    exit;
"#
        );
        let routes = format!(
            r#"
failure_route[NEXT] {{
    if (t_is_canceled()) {{ exit; }}
    xlog("L_ERR", "NEXT BRANCH\n");
    $du = "sip:127.0.0.1:{phone}";
    t_set_fr(120000, 30000);
    t_relay();
}}
reply_route {{
    {lose_answer}
    {session}
    return;
}}
"#
        );
        Kamailio::configured("MD5", lose_ack, [&calls, &routes], authority)
    }

    /// A registrar and proxy for any user with the password `secret`. `algorithm` is `MD5` or `SHA-256`.
    pub fn start(algorithm: &str) -> Kamailio {
        let calls = r#"
    record_route();
    if (!lookup("location")) { sl_send_reply("404", "Not Found"); exit; }
    t_relay();
"#;
        Kamailio::configured(algorithm, "", [calls, ""], None)
    }

    fn configured(
        algorithm: &str,
        inside: &str,
        [calls, routes]: [&str; 2],
        authority: Option<&Authority>,
    ) -> Kamailio {
        let dir = TempDir::new("kamailio");
        let port = free_port();
        let modules = [
            "tm",
            "sl",
            "rr",
            "pv",
            "maxfwd",
            "usrloc",
            "registrar",
            "auth",
            "xlog",
            "textops",
            "siputils",
        ];
        let modules: String = modules.iter().map(|m| format!("loadmodule \"{m}.so\"\n")).collect();
        let tls_port = authority.map(|_| free_port());
        let [early, tls] = match (authority, tls_port) {
            (Some(authority), Some(port)) => {
                let (cert, key) = authority.issue("proxy", "IP:127.0.0.1,DNS:127.0.0.1");
                let listen = format!("enable_tls=yes\nlisten=tls:127.0.0.1:{port}\n");
                let modules = format!(
                    "loadmodule \"tls.so\"\nmodparam(\"tls\", \"certificate\", {cert:?})\n\
                     modparam(\"tls\", \"private_key\", {key:?})\n\
                     modparam(\"tls\", \"tls_method\", \"TLSv1.2+\")\n\
                     modparam(\"tls\", \"ca_list\", {:?})\n",
                    authority.file()
                );
                [listen, modules]
            }
            _ => [String::new(), String::new()],
        };
        let config = format!(
            r#"debug=1
log_stderror=yes
fork=yes
children=1
tcp_children=1
auto_aliases=no
mpath="/usr/lib/x86_64-linux-gnu/kamailio/modules/:/usr/lib/aarch64-linux-gnu/kamailio/modules/"
listen=udp:127.0.0.1:{port}
listen=tcp:127.0.0.1:{port}
{early}{modules}
{tls}modparam("auth", "algorithm", "{algorithm}")
modparam("auth", "qop", "auth")
modparam("usrloc", "db_mode", 0)
modparam("registrar", "max_expires", 60)
modparam("rr", "enable_full_lr", 1)
request_route {{
    if (!mf_process_maxfwd_header("10")) {{ sl_send_reply("483", "Too Many Hops"); exit; }}
    if (is_method("CANCEL")) {{ if (t_check_trans()) {{ t_relay(); }} exit; }}
    if (is_method("REGISTER")) {{
        if (!pv_www_authenticate("127.0.0.1", "secret", "0")) {{
            www_challenge("127.0.0.1", "1");
            exit;
        }}
        save("location");
        xlog("L_ERR", "REGISTERED $tU $ct\n");
        exit;
    }}
    if (is_method("OPTIONS")) {{ sl_send_reply("200", "OK"); exit; }}
    if (has_totag()) {{
        xlog("L_ERR", "WITHIN $rm\n");
        {inside}
        if (loose_route()) {{ t_relay(); exit; }}
        if (is_method("ACK")) {{ if (t_check_trans()) {{ t_relay(); }} exit; }}
        sl_send_reply("404", "Not Here");
        exit;
    }}
{calls}
}}
{routes}
"#
        );
        fs::write(dir.join("kamailio.cfg"), config).unwrap();
        let mut command = Command::new("kamailio");
        // -DD: one process group in the foreground, that ends with its parent.
        let memory = if authority.is_some() { "64" } else { "16" };
        command.args(["-DD", "-E", "-m", memory, "-M", "8", "-n", "1", "-f"]);
        command.arg(dir.join("kamailio.cfg")).arg("-Y").arg(dir.path());
        command.arg("-P").arg(dir.join("pid")).current_dir(dir.path());
        let process = Process::start("kamailio", &mut command);
        let kamailio = Kamailio { port, tls_port, process, _dir: dir };
        kamailio.wait_until_it_answers();
        kamailio
    }

    fn wait_until_it_answers(&self) {
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
        let own = socket.local_addr().unwrap();
        let options = format!(
            "OPTIONS sip:127.0.0.1:{0} SIP/2.0\r\nVia: SIP/2.0/UDP {own};branch=z9hG4bKup\r\n\
             From: <sip:up@{own}>;tag=1\r\nTo: <sip:127.0.0.1:{0}>\r\nCall-ID: up\r\n\
             CSeq: 1 OPTIONS\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n",
            self.port
        );
        let mut buffer = [0; 2048];
        for _ in 0..100 {
            let _ = socket.send_to(options.as_bytes(), ("127.0.0.1", self.port));
            if socket.recv_from(&mut buffer).is_ok() {
                return;
            }
        }
        panic!("kamailio does not answer; it said:\n{}", self.process.output());
    }
}

impl Drop for Kamailio {
    fn drop(&mut self) {
        // Its main process ends its children; killed, it would leave them.
        self.process.end(Duration::from_secs(5));
    }
}
