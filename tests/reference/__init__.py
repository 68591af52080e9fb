"""What tests share: small models, invented data, closed-form problems, a plain network, stand-ins for servers."""
