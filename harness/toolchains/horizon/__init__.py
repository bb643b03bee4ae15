"""What hb_mapper, hb_compile and their verifiers leave behind."""
