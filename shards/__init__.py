"""The contract between simgen, which writes shards, and fusiontrain, which reads them."""
