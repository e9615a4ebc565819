"""The gRPC protocol: the .proto, the messages made of it, and the script that makes them."""
