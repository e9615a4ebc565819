"""The kubernetes plugin: any kind an API server knows, by server-side apply, and Helm releases by the real helm."""
