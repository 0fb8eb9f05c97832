"""The monolithic policy: one vision-language model from image and words to actions, without a path in between."""
