# expect 6:14 node: not a name: [a-z0-9][a-z0-9._-]{0,62} without ".."
# expect 8:22 types[1]: expected a quoted name
# expect 9:35 labels.row: expected a quoted string
# expect 10:21 coordinator.url: expected an http:// or https:// URL
# expect 13:35 command.restart.argv[2]: uses {unit}, which params does not declare
node       = "Web/1"
datacenter = "dc1"
types      = ["web", 1]
labels     = { rack = "r1", row = 7 }
coordinator { url = "127.0.0.1:8787" }

command "restart" {
  argv = ["systemctl", "restart", "{unit}"]
}
