# expect 5:5 syntax: Argument or block definition required; An argument or block definition is required here.
# expect 8:7 server_config.route_rule[0].methd: unknown key; did you mean "method"?
# expect 12:16 server_config.route_rule[1].method: unknown value "get"; did you mean "GET"?
server_config {
    [...]
    route_rule {
      name = "a"
      methd = "GET"
      route_patterns = ["/*"]
    }
    route_rule {
      method = "get"
      name = "b"
      route_patterns = ["/*"]
    }
}
datacenter = "dc1"
