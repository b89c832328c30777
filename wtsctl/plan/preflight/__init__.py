"""What a cluster lacks for a deploy, found before anything is applied."""
