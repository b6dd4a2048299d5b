"""The only place that imports torch, transformers, peft, bitsandbytes, trl and vllm."""
