"""What a session on a Ray cluster and its workers share: how they find each other, and what the cluster keeps."""
