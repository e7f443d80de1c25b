# expect 6:1 temporal: may appear only once; see line 5
# expect 8:1 server_config: may appear only once; see line 7
# expect 9:15 datacenters: datacenter and datacenters are mutually exclusive
datacenter = "dc1"
temporal {}
temporal { namespace = "other" }
server_config {}
server_config { enable_tls = true }
datacenters = ["dc1", "dc2"]
