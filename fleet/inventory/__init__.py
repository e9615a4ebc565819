"""What a program consists of and what of that is paid for: any Pulumi program's state or event stream, any Terraform state.

Reads files alone: no engine, no SDK, no cloud. A resource that nobody here can read is named, never left out.
"""
