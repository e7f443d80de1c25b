# The project that `npm start` runs. Without a server_config only `resile dev` will run it, and lets every caller pass.
datacenter = "dc1"
