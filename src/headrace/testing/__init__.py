"""What helps to test programs that are built on Headrace; take each thing from its module."""
