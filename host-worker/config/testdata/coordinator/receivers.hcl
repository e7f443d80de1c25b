# expect 14:1 receiver.nobody: has no block: one must say how to notify it (permitted: webhook, alertmanager, slack, pagerduty)
# expect 16:1 receiver.both: has more than one block (permitted: webhook, alertmanager, slack, pagerduty)
# expect 21:19 receiver.mail.webhook.url: expected an http:// or https:// URL
# expect 24:3 receiver.bare.webhook.url: is required
# expect 27:26 receiver.user.alertmanager.url: must not hold a user or password
# expect 33:19 receiver.secrets.webhook.secret_file: secret_env and secret_file are mutually exclusive
# expect 37:3 receiver.typo.webhok: unknown key; did you mean "webhook"? (permitted: webhook, alertmanager, slack, pagerduty)
# expect 39:10 receiver["On Call"]: not a name
# expect 45:16 receiver.chat.slack.url_file: url_env and url_file are mutually exclusive
# expect 49:3 receiver.silent.slack.url_env: is required
# expect 52:3 receiver.pager.pagerduty.routing_key_env: is required
# expect 52:21 receiver.pager.pagerduty.url: expected an http:// or https:// URL
datacenter = "dc1"
receiver "nobody" {
}
receiver "both" {
  webhook { url = "https://a.example" }
  alertmanager { url = "http://b.example" }
}
receiver "mail" {
  webhook { url = "mailto:ops@example.org" }
}
receiver "bare" {
  webhook { secret_env = "SECRET" }
}
receiver "user" {
  alertmanager { url  =  "http://ops:secret@10.0.0.1:9093" }
}
receiver "secrets" {
  webhook {
    url         = "https://a.example"
    secret_env  = "SECRET"
    secret_file = "/etc/resile/secret"
  }
}
receiver "typo" {
  webhok { url = "https://a.example" }
}
receiver "On Call" {
  webhook { url = "https://a.example" }
}
receiver "chat" {
  slack {
    url_env  = "CHAT"
    url_file = "chat.url"
  }
}
receiver "silent" {
  slack { }
}
receiver "pager" {
  pagerduty { url = "events.pagerduty.com" }
}
