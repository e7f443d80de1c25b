# expect 1:1 datacenter: is required
# expect 5:9 command["a/b"]: not a name
# expect 12:23 command.restart.params.unit: not a regular expression that runs in linear time (RE2 syntax)
node = "web-1"
command "a/b" {
  argv = ["true"]
}
command "restart" {
  argv    = ["systemctl", "restart", "{unit}"]
  timeout = "5m"
  # backreferences need more than linear time
  params  = { unit  = "^(a)\\1$" }
}
