"""The studio: a model in the browser. `page` is the only module that needs Gradio."""
