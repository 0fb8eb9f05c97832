"""Fine-tuning any vision-language model on label sets, by TRL under Accelerate; docs/finetuning.md."""
