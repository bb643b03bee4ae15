"""From pictures to board inputs."""
