"""Image operations that models, methods, metrics and fusion share: blur, resampling, injection."""
