# expect 5:1 temporal: must be a block: temporal { … }
# expect 6:15 server_config: takes no label: server_config { … }
# expect 7:3 server_config.route_rule: must be a block: route_rule { … }
# expect 14:1 datacenter: must be an attribute: datacenter = …
temporal = { address = "nowhere" }
server_config "x" {
  route_rule = [{ name = "a", method = "GET", route_patterns = ["/*"] }]
  route_rule {
    name           = "beside an attribute of the same name"
    method         = "GET"
    route_patterns = ["/*"]
  }
}
datacenter { name = "dc1" }
