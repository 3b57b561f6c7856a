"""What a plan would do and what may come in its way: what `check` and `plan` say of it. Plan in, text out."""
