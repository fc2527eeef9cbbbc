from fusiontrain.cli import main
from shards.program import end_process

if __name__ == "__main__":
    end_process(main())
