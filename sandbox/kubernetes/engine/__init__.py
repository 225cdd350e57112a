"""What `pulumi up` does with the objects a program registers: their order, their replacement, and the waiting."""
