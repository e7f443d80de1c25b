# expect 1:1 datacenter: is required
