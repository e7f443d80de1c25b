# Who may ask for what, in the style that route rules are usually written in.
server_config {
    enable_tls = true
    route_rule {
      name  = "admins_read"
      method = "GET"
      route_patterns = ["/*"]
      uris = ["spiffe://example.org/fleet-admin"]
    }
    route_rule {
      name = "anyone_starts"
      method = "POST"
      route_patterns = ["/*"]
      uris = ["spiffe://example.org/fleet-admin"]
      allow_public = true
    }
    route_rule {
      name = "scrapers"
      method = "GET"
      route_patterns = ["/metrics"]
      uris = []
      allow_public = true
      skip_log_match = true
    }
}

datacenter = "dc1"
