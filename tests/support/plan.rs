//! Dial plans that several tests share.

macro_rules! phone {
    () => {
        r#"
version = 1
emergency = "not-provided"
[defaults]
timezone = "Europe/Berlin"
country = "DE"
[caller_id.web]
number = "+493012345670"
[group.all]
users = ["web"]
caller_id = ["web"]
[[outbound]]
name = "the phone"
to = ["7XX"]
route = ["phone"]
"#
    };
}

/// The page of `web` calls the trunk `phone` by 7XX. A line after it is a setting of that rule.
pub const PHONE: &str = phone!();

/// And its number rings the page.
pub const PHONE_AND_PAGE: &str = concat!(
    phone!(),
    r#"[[inbound]]
name = "to the page"
did = ["+493012345670"]
flow = ["user:web"]
"#
);
